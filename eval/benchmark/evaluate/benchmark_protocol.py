"""Interface of benchmarks that planners are evaluated on: folders of `swerve build`, or data sets in place."""

from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.benchmark.scene_group import SceneGroup


@runtime_checkable
class GroupedScenes(Protocol):
    """Scene groups by log; a light handle that can be pickled."""

    @property
    def view_kind(self) -> ViewKind:
        """Return the kind of the views given to planners."""

    @property
    def logs(self) -> tuple[str, ...]:
        """Return the names of the logs with a scene group."""

    def scene_groups(self, log: str) -> tuple[str, ...]:
        """Return the names of a log's scene groups.

        Raises:
            SwerveError: there is no such log.
        """

    def scene_group(self, name: str) -> SceneGroup:
        """Load a scene group.

        Raises:
            SwerveError: there is no such scene group, or it cannot be read.
        """

    def source_of(self, log: str) -> str:
        """Return the kind of source that a log is from."""

    def identity(self) -> dict[str, Any]:
        """Return the provenance of its scenes, with "digest": equal digests mean equal scenes."""

    def inactive_sub_scores(self) -> list[str]:
        """Return lines on sub-scores that cannot fail, because the logs lack what they need."""


@runtime_checkable
class ReportedBenchmark(Protocol):
    """A benchmark as its report shows it."""

    def scene_group(self, name: str) -> SceneGroup:
        """Load a scene group.

        Raises:
            SwerveError: there is no such scene group, or it cannot be read.
        """

    def source_of(self, log: str) -> str:
        """Return the kind of source that a log is from."""

    def scenes(self) -> pa.Table:
        """Return a row per scene, with its "token" and "scene_group"."""

    def rejections(self) -> pa.Table:
        """Return a row per rejected start point, with its "reason"."""
