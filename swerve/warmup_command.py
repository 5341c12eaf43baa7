"""Run `swerve warmup`."""

import multiprocessing
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, cast, get_args

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from swerve.consoles import progress_console, results_console
from swerve.data.jobs import Failure, read_failures, usable_cores
from swerve.data.jobs.signals import signals_blocked
from swerve.data.jobs.stopwatch import COMPILING
from swerve.options.warmup import Warmup, WarmupPart
from swerve.scenes.errors import SwerveError


def run(args: Warmup) -> int:
    """Compile kernels, print the time of each part, and return the exit code."""
    parts = deque(args.parts or get_args(WarmupPart))
    total, console = len(parts), results_console()
    running = dict[Connection, tuple[str, SpawnProcess]]()
    with _bar() as bar:
        line = bar.add_task("", total=total)
        try:
            while parts or running:
                while parts and len(running) < (args.workers or usable_cores()):
                    connection, process = _start(parts[0])
                    running[connection] = (parts.popleft(), process)
                bar.update(line, description=f"compiling: {', '.join(part for part, _ in running.values())}")
                for ended in wait(list(running)):
                    connection = cast("Connection", ended)  # it returns what it is given
                    part, process = running.pop(connection)
                    _tell(part, connection, console)
                    process.join()
                    bar.advance(line)
        finally:
            for _, process in running.values():
                process.kill()
                process.join()
    return 0


def warm(part: str) -> float:
    """Run what compiles a part's kernels; return the seconds that compiling took."""
    with tempfile.TemporaryDirectory() as folder:
        return _PARTS[part](Path(folder))


def _start(part: str) -> tuple[Connection, SpawnProcess]:
    """Start a process that compiles a part, and sends its time."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(part, theirs))
    with signals_blocked(signal.SIGINT):
        process.start()
    theirs.close()
    return ours, process


def _work(part: str, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    try:
        connection.send(warm(part))
    except Exception as error:  # boundary of the process: the parent raises it
        connection.send(f"{type(error).__name__}: {error}")


def _tell(part: str, connection: Connection, console: Console) -> None:
    """Print the time of a part.

    Raises:
        SwerveError: it failed.
    """
    try:
        outcome: float | str = connection.recv()
    except EOFError:
        outcome = "its process died"
    if isinstance(outcome, str):
        raise SwerveError(f"warmup: {part} could not be compiled ({outcome})")
    text = f"compiled in {outcome:.1f} s" if outcome else "was compiled before"
    console.print(f"{part}: {text}", highlight=False)


def _towns(folder: Path) -> float:
    from swerve.data.sources.town.town_source import TownSource
    from swerve.scenes.compilation import tell_compilation
    from swerve.scenes.compile_clock import compile_seconds

    del folder  # nothing is written
    tell_compilation(lambda group: None)
    TownSource(1).load("town-000000")
    return compile_seconds()


def _sets(folder: Path) -> float:
    from swerve import AugmentOptions, augment
    from swerve.straight_road import StraightRoadSource

    report = augment([StraightRoadSource()], folder / "set", AugmentOptions(scene_interval=2.0), workers=1)
    _require(read_failures(folder / "set"))
    return _compiling(report.timing)


def _benchmarks(folder: Path) -> float:
    from swerve import BuildOptions, EvaluateOptions, build_benchmark, evaluate
    from swerve.straight_road import StraightRoadSource

    options = BuildOptions(scene_interval=1.0, min_follow_ups=1, max_follow_ups=2)
    built = build_benchmark([StraightRoadSource()], folder / "bench", options, workers=1)
    _require(built.failures)
    evaluated = evaluate(folder / "bench", ["pdm-closed"], folder / "out", EvaluateOptions(report=False), workers=1)
    _require(evaluated.failures)
    return _compiling(built.timing) + _compiling(evaluated.timing)


def _closed_loop(folder: Path) -> float:
    from swerve.eval.closed_loop import ClosedLoopOptions, build_closed_loop_scene, drive_prepared
    from swerve.planners.baselines.privileged import Idm
    from swerve.scenes import extract_scenes
    from swerve.scenes.compilation import tell_compilation
    from swerve.scenes.compile_clock import compile_seconds
    from swerve.scenes.viewpoints import build_log_geometry, logged
    from swerve.straight_road import StraightRoadSource

    del folder  # nothing is written
    tell_compilation(lambda group: None)
    log = StraightRoadSource().load("straight-road")
    geometry = build_log_geometry(log)
    scene = extract_scenes(log, history=2.0, future=4.0, interval=4.0)[0]
    for options in (
        ClosedLoopOptions(rate=1.0, seconds=4.0),
        ClosedLoopOptions(rate=1.0, seconds=4.0, simulation="dynamic", scorer="nuplan", traffic="lane-following"),
    ):
        drive_prepared(build_closed_loop_scene(logged(scene, geometry), options, geometry=geometry), Idm(), None)
    return compile_seconds()


_PARTS: Mapping[str, Callable[[Path], float]] = {
    "towns": _towns,
    "sets": _sets,
    "benchmarks": _benchmarks,
    "closed-loop": _closed_loop,
}


def _require(failures: Sequence[Failure]) -> None:
    """Raise the first failure of a job, if there is one."""
    if failures:
        raise SwerveError(failures[0].reason)


def _compiling(timing: Mapping[str, Any]) -> float:
    """Return the time of compiling in the workers of a job."""
    return float(timing["worker_seconds"].get(COMPILING, 0.0))


def _bar() -> Progress:
    console = progress_console()
    columns = (
        TextColumn("{task.completed:.0f} of {task.total:.0f} parts"),
        BarColumn(),
        TextColumn("{task.description}"),
    )
    return Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal, transient=True)
