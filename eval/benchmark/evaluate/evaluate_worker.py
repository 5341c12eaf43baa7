"""A log of a benchmark, opened by a worker of a job that does something with every case."""

from collections.abc import Callable
from dataclasses import dataclass

from swerve.data.jobs import Made, ProgressCallback
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.eval.benchmark.benchmark_store import Benchmark
from swerve.eval.benchmark.scene_group import SceneGroup
from swerve.scenes.compilation import announce_compilation

# What is done with a case, whose number is told, too.
Do = Callable[[int, SceneGroup, ProgressCallback], Made]


@dataclass(frozen=True)
class OpenedGroups:
    """See `swerve.data.jobs.OpenLog`.

    Attributes:
        benchmark: whose log it is.
        log: its name.
        do: makes the part of a case.
        watch: measures "reading".
    """

    benchmark: Benchmark
    log: str
    do: Do
    watch: Stopwatch

    @property
    def chunks(self) -> int:
        """One for each case."""
        return len(self.benchmark.cases(self.log))

    def make(self, chunk: int, report: ProgressCallback) -> Made:
        """Reads a case and does what is to be done.

        Raises:
            SwerveError: the case's file is damaged, or see `do`.
        """
        with self.watch.measure("reading"):
            case = self.benchmark.case(self.benchmark.cases(self.log)[chunk])
        return self.do(chunk, case, report)


def open_groups(benchmark: Benchmark, log: str, do: Do, watch: Stopwatch) -> OpenedGroups:
    """The cases of a log; says that kernels are compiled first, if they are.

    Raises:
        SwerveError: there is no such log.
    """
    announce_compilation()
    benchmark.cases(log)
    return OpenedGroups(benchmark, log, do, watch)
