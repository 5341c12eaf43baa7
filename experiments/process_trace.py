"""Memory and open files of a command and its processes over time, and how fast it gets on (Linux)."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean


@dataclass(frozen=True)
class Moment:
    """Memory and files of a command at one time.

    Attributes:
        seconds: since it was started.
        done: share of its work, from 0 to 1.
        memory_mib: of all its processes; what they share counts once.
        largest_mib: of the largest process, with what it shares.
        files: open files of all its processes.
        processes: their number.
        cpu_seconds: that they, and children that have ended, have computed so far: unlike `seconds` they do not grow
            when other programs use the cores.
    """

    seconds: float
    done: float
    memory_mib: float
    largest_mib: float
    files: int
    processes: int
    cpu_seconds: float = 0.0


def traced(command: Sequence[str], done: Callable[[], float], interval: float = 1.0) -> tuple[int, list[Moment]]:
    """Run a command, and look at it every so many seconds; returns its exit code too."""
    moments, start = list[Moment](), time.perf_counter()
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            if found := moment(process.pid, time.perf_counter() - start, done()):
                # A child's time is nowhere between its end and the call that waits for it.
                computed = max(found.cpu_seconds, moments[-1].cpu_seconds if moments else 0.0)
                moments.append(replace(found, cpu_seconds=computed))
            time.sleep(interval)
    return process.returncode, moments


def moment(root: int, seconds: float, done: float) -> Moment | None:
    """Memory and files of a process and of those below it; None if it has ended."""
    held = [one for pid in family(root) if (one := holdings(pid))]
    if not held:
        return None
    shared, resident, files, computed = zip(*held, strict=True)
    return Moment(seconds, done, sum(shared), max(resident), sum(files), len(held), sum(computed))


def family(root: int) -> list[int]:
    """A process and all below it."""
    found = [root]
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, _text(children).split())
    return found


def holdings(pid: int) -> tuple[float, float, int, float] | None:
    """Proportional and resident memory in MiB, open files, CPU seconds; None if the process has ended."""
    rows = dict(line.split(":", 1) for line in _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines()[1:])
    try:
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return None
    # After the name, which may hold spaces: user and system time of the process, and of its ended children.
    times = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[11:15]
    if not rows or not times:
        return None
    return _mib(rows["Pss"]), _mib(rows["Rss"]), files, sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it ended meanwhile
        return ""


def _mib(text: str) -> float:
    return int(text.split()[0]) / 1024


def stages(moments: Sequence[Moment], parts: int = 4) -> list[dict[str, float]]:
    """Time, memory and open files of the start, of equal parts of the work, and of the end.

    The first stage is before anything is done, the last after everything is; those between have an equal share of the
    work each, to the resolution of the moments.
    """
    found = []
    for stage in range(parts + 2):
        inside = [one for one in moments if _stage(one.done, parts) == stage]
        if inside:
            end = next((one for one in moments if _stage(one.done, parts) > stage), inside[-1])
            found.append(
                {
                    "stage": stage,
                    "seconds": end.seconds - inside[0].seconds,
                    "CPU seconds": end.cpu_seconds - inside[0].cpu_seconds,
                    "memory, MiB": fmean(one.memory_mib for one in inside),
                    "largest process, MiB": max(one.largest_mib for one in inside),
                    "open files": max(one.files for one in inside),
                    "processes": max(one.processes for one in inside),
                }
            )
    return found


def _stage(done: float, parts: int) -> int:
    if done >= 1:
        return parts + 1
    return 0 if done <= 0 else 1 + int(done * parts)
