"""A log of a benchmark, opened by a worker of a job that processes every scene group."""

from collections.abc import Callable
from dataclasses import dataclass

from swerve.data.jobs import PartResult, ProgressCallback
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.eval.benchmark.evaluate.benchmark_protocol import GroupedScenes
from swerve.eval.benchmark.scene_group import SceneGroup
from swerve.scenes.compilation import announce_compilation

# Processes a scene group, given its number.
Do = Callable[[int, SceneGroup, ProgressCallback], PartResult]


@dataclass(frozen=True)
class OpenedGroups:
    """The scene groups of a log, see `swerve.data.jobs.LogHandle`.

    Attributes:
        benchmark: the benchmark.
        log: its name.
        do: processes a scene group.
        watch: measures "reading".
    """

    benchmark: GroupedScenes
    log: str
    do: Do
    watch: Stopwatch

    @property
    def chunks(self) -> int:
        """Return the number of scene groups."""
        return len(self.benchmark.scene_groups(self.log))

    def make(self, chunk: int, report: ProgressCallback) -> PartResult:
        """Read and process a scene group.

        Raises:
            SwerveError: the scene group's file is damaged, or see `do`.
        """
        with self.watch.measure("reading"):
            scene_group = self.benchmark.scene_group(self.benchmark.scene_groups(self.log)[chunk])
        return self.do(chunk, scene_group, report)


def open_groups(benchmark: GroupedScenes, log: str, do: Do, watch: Stopwatch) -> OpenedGroups:
    """Open the scene groups of a log; announces the compilation of kernels.

    Raises:
        SwerveError: there is no such log.
    """
    announce_compilation()
    benchmark.scene_groups(log)
    return OpenedGroups(benchmark, log, do, watch)
