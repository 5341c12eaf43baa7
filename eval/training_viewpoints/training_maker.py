"""The maker of follow-up and visited viewpoints and of pseudo-expert targets for a set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from swerve.data.dataset.augment_options import LOGGED_KINDS, AugmentOptions
from swerve.data.dataset.set_config import read_maker_identity, read_options
from swerve.data.dataset.viewpoint_maker import ExpertTarget, MadeViewpoints
from swerve.eval.benchmark.frame_steps import HISTORY, NOW
from swerve.eval.benchmark.schedule import check_rate
from swerve.eval.closed_loop.rollout_file import (
    LogRollouts,
    RolloutFile,
    index_digest,
    read_index,
    read_rollouts,
    rollouts_folder,
)
from swerve.eval.context.sample_contexts import context_of
from swerve.eval.scoring.thresholds import STEP
from swerve.eval.training_viewpoints.follow_up_viewpoints import follow_up_viewpoints
from swerve.eval.training_viewpoints.pseudo_expert import pseudo_expert
from swerve.eval.training_viewpoints.training_viewpoint_options import TrainingViewpointOptions
from swerve.eval.training_viewpoints.visited_viewpoints import VisitedViewpoints
from swerve.scenes import Scene, SwerveError
from swerve.scenes.compilation import announce_compilation
from swerve.scenes.viewpoints import LogGeometry, Viewpoint, ViewpointKind

# Seconds of history that viewpoints in logs of their own have, whatever the options.
_HISTORIES: Final = {"follow_up": NOW * STEP, "visited": HISTORY * STEP}


def maker_of(options: AugmentOptions, training: TrainingViewpointOptions) -> "TrainingMaker | None":
    """Return the maker of a set; None if it has only the log's own viewpoints, and no pseudo-experts.

    Raises:
        SwerveError: visited viewpoints are asked for without rollouts, or rollouts are given without them, or are not
            complete; or past frames are of longer ago than the history of a kind.
    """
    kinds = set(options.viewpoints)
    for kind, seconds in _HISTORIES.items():
        if kind in kinds and options.past_frames and options.past_seconds[-1] > seconds + 1e-6:
            raise SwerveError(
                f"past_frames: the last is {options.past_seconds[-1]:g} s ago, {kind} viewpoints have {seconds:g} s of "
                f"history. Store fewer, or leave {kind} out"
            )
    if training.visited is not None and "visited" not in kinds:
        raise SwerveError("visited: rollouts are for visited viewpoints. Name visited among the --viewpoints")
    if "visited" in kinds and training.visited is None:
        raise SwerveError("viewpoints: visited needs --visited, the folder of swerve drive --record")
    if kinds <= set(LOGGED_KINDS) and not kinds & set(training.experts):
        return None
    files = read_index(training.visited) if training.visited is not None else ()
    return TrainingMaker(options, training, files)


def maker_of_set(folder: Path, visited: Path | None) -> "TrainingMaker | None":
    """Return the maker of a finished set's viewpoints, from the set's own options; None if it needs none.

    Args:
        folder: of the set.
        visited: folder of the rollouts that it was made with.

    Raises:
        SwerveError: the set is none of this version, or needs rollouts that are not given, or none that are.
    """
    options, identity = read_options(folder), read_maker_identity(folder)
    if visited is not None and "visited" not in options.viewpoints:
        raise SwerveError(f"{folder}: has no visited viewpoints. Leave --visited out")
    if identity is None:
        return None
    names = ("follow_up_traffic", "visited_interval")
    try:
        training = TrainingViewpointOptions(
            **{name: identity[name] for name in names}, experts=tuple(identity["experts"]), visited=visited
        )
    except (KeyError, TypeError) as error:
        raise SwerveError(f"{folder}: its viewpoints are of another version. Make the set again") from error
    return maker_of(options, training)


@dataclass(frozen=True)
class TrainingMaker:
    """Maker of viewpoints, see `swerve.data.dataset.viewpoint_maker.ViewpointMaker`.

    Attributes:
        options: of the set.
        training: of the viewpoints.
        files: recorded rollouts.
    """

    options: AugmentOptions
    training: TrainingViewpointOptions
    files: tuple[RolloutFile, ...]

    @property
    def identity(self) -> dict[str, Any]:
        """Return everything that determines the viewpoints, whatever the folder of the rollouts."""
        training = self.training
        return {
            "follow_up_traffic": training.follow_up_traffic,
            "experts": list(training.experts),
            "visited_interval": training.visited_interval,
            "visited": index_digest(self.files) if self.files else None,
        }

    def check(self, logs: Sequence[str]) -> None:
        """Check that every log with rollouts is among the logs.

        Raises:
            SwerveError: one is not: its states would be left out.
        """
        if lost := [one.log for one in self.files if one.log not in logs]:
            raise SwerveError(
                f"{self.training.visited}: log {lost[0]} of its rollouts is in none of the sources. Give those that "
                "were driven"
            )

    def open(self, geometry: LogGeometry, scenes: Sequence[Scene]) -> "TrainingLogViewpoints":
        """Prepare a log, see `ViewpointMaker`.

        Raises:
            SwerveError: its rollouts are missing or damaged.
        """
        announce_compilation()
        visited = None
        if mine := [one for one in self.files if one.log == geometry.log.name]:
            assert self.training.visited is not None
            check_rate(geometry.log, "visited viewpoints are made")
            rollouts = tuple(_read(rollouts_folder(self.training.visited), one) for one in mine)
            visited = VisitedViewpoints(rollouts, geometry, tuple(scenes), self.options, self.training.visited_stride)
        return TrainingLogViewpoints(self, geometry, visited)


@dataclass(frozen=True)
class TrainingLogViewpoints:
    """Viewpoints of one log, see `swerve.data.dataset.viewpoint_maker.LogViewpoints`."""

    maker: TrainingMaker
    geometry: LogGeometry
    visited: VisitedViewpoints | None

    def make(self, scene: Scene, kind: ViewpointKind) -> MadeViewpoints:
        """Make the viewpoints of a kind that belong to a scene."""
        if kind is ViewpointKind.FOLLOW_UP:
            policy = self.maker.training.follow_up_traffic
            return follow_up_viewpoints(scene, self.geometry, self.maker.options, policy)
        return self.visited.make(scene) if self.visited else MadeViewpoints()

    def expert(self, viewpoint: Viewpoint) -> ExpertTarget | str | None:
        """Return the pseudo-expert target, or the reason why the viewpoint cannot be scored; None if not asked for."""
        if viewpoint.kind.value not in self.maker.training.experts:
            return None
        try:
            context = context_of(viewpoint)
        except SwerveError as error:
            return str(error)
        return pseudo_expert(viewpoint, context)


def _read(folder: Path, entry: RolloutFile) -> LogRollouts:
    """Read a file of the index.

    Raises:
        SwerveError: it is not the file that the index names.
    """
    path = folder / entry.file
    rollouts, found = read_rollouts(path)
    if found != entry:
        raise SwerveError(f"{path}: is not the file of its index. Run swerve drive --record again")
    return rollouts
