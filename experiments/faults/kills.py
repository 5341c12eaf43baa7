"""Kill a job at random moments, go on with it, and compare what comes out."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.faults.jobs import FaultJob
from experiments.faults.nodes import RayNodes

# Runs end of themselves long before.
_LONGEST = 1800.0
# A killed job is completed by the first start, one of whose workers was killed by the second.
_TRIES = 3
# Runs of an array that are to be started again say so by this exit code.
_AGAIN = 75
_SWERVE = (sys.executable, "-c", "from swerve.cli import main; main()")


@dataclass
class Counts:
    """Counts of the kills of a job and of their consequences.

    Attributes:
        kills: processes killed, by kind: "driver", "worker", "shard", "node", "head".
        runs: complete outputs.
        starts: commands started.
        lost: items that an undisturbed output has and a disturbed one has not.
        doubled: items that a disturbed output has more often.
        equal: disturbed outputs of the same digest.
        seconds: duration of the undisturbed run.
    """

    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    starts: int = 0
    lost: int = 0
    doubled: int = 0
    equal: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Disturbed:
    """A job that is disturbed.

    Attributes:
        job: the job.
        needed: output of the job that it needs.
        folder: its undisturbed output is `whole` there, the disturbed one `killed`.
        shards: number of runs of an array; 1 for the whole job at once.
        extra: more arguments of the command.
        workers: arguments that replace those of the job; none do if None.
    """

    job: FaultJob
    needed: Path
    folder: Path
    shards: int = 1
    extra: tuple[str, ...] = ()
    workers: tuple[str, ...] | None = None

    def command(self, out: Path, shard: int | None = None) -> list[str]:
        """Return the command line of the job, or of a run of its array."""
        given = [str(out) if one == "OUT" else one for one in self.job.arguments(self.needed, self.folder.parent)]
        part = ["--part", f"{shard}/{self.shards}"] if shard is not None else []
        workers = self.job.workers if self.workers is None else self.workers
        return [*_SWERVE, *given, *workers, *part, *self.extra]


def disturb(disturbed: Disturbed, kills: int, rng: random.Random) -> Counts:
    """Kill a job until so many processes were killed, completing and comparing its output each time."""
    counts, whole = Counts(), disturbed.folder / "whole"
    start = time.monotonic()
    if not _completes(disturbed, whole, counts):
        raise RuntimeError(f"the undisturbed job fails: {' '.join(disturbed.command(whole))}")
    counts.seconds = time.monotonic() - start
    wanted, digest = disturbed.job.items(whole), disturbed.job.digest(whole)
    while counts.kills.total() < kills:
        out = disturbed.folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        for _ in range(rng.randint(1, max(min(4, kills - counts.kills.total()), 1))):
            _killed(disturbed, out, counts, rng)
        _completed(disturbed, out, counts)
        _compare(disturbed, out, wanted, digest, counts)
    return counts


def _compare(disturbed: Disturbed, out: Path, wanted: Counter[str], digest: str, counts: Counts) -> None:
    """Count what a complete output lacks, and what it has twice."""
    found = disturbed.job.items(out)
    counts.runs += 1
    counts.lost += (wanted - found).total()
    counts.doubled += (found - wanted).total()
    counts.equal += disturbed.job.digest(out) == digest


def disturb_nodes(disturbed: Disturbed, kills: int, rng: random.Random, nodes: RayNodes) -> Counts:
    """Kill nodes of a cluster while it runs a job, until so many were killed; the job has to end well each time."""
    out, counts = disturbed.folder / "killed", Counts()
    wanted, digest = _undisturbed(disturbed, counts)
    while counts.kills.total() < kills:
        shutil.rmtree(out, ignore_errors=True)
        counts.starts += 1
        running, start = _started(disturbed.command(out)), time.monotonic()
        some = rng.randint(1, min(3, kills - counts.kills.total()))
        for moment in sorted(rng.uniform(0.1, 0.9) * counts.seconds for _ in range(some)):
            if _runs_until(running, start + moment):
                nodes.kill_one(rng)
                counts.kills["node"] += 1
        if running.wait(_LONGEST) != 0:
            raise RuntimeError(f"{out}: the job did not survive its nodes: {' '.join(disturbed.command(out))}")
        _compare(disturbed, out, wanted, digest, counts)
    return counts


def disturb_heads(disturbed: Disturbed, kills: int, rng: random.Random, nodes: RayNodes) -> Counts:
    """Kill the head of a cluster while it runs a job, every second time with the driver, as if both were on it.

    The job ends, and the same command has to complete it on another cluster, while nodes of the one before still live.
    """
    out, counts = disturbed.folder / "killed", Counts()
    wanted, digest = _undisturbed(disturbed, counts)
    while counts.kills["head"] < kills:
        shutil.rmtree(out, ignore_errors=True)
        counts.starts += 1
        running, start = _started(disturbed.command(out)), time.monotonic()
        if not _runs_until(running, start + rng.uniform(0.3, 0.9) * counts.seconds):
            counts.seconds = min(counts.seconds, time.monotonic() - start)  # the machine is faster now
            continue
        nodes.kill_head()
        counts.kills["head"] += 1
        if counts.kills["head"] % 2:
            running.kill()
            counts.kills["driver"] += 1
        running.wait(_LONGEST)
        nodes.renew()
        _completed(disturbed, out, counts)
        _compare(disturbed, out, wanted, digest, counts)
    return counts


def _undisturbed(disturbed: Disturbed, counts: Counts) -> tuple[Counter[str], str]:
    """Run a job on this machine alone, then on the cluster, for the time that it takes; return items and digest.

    Raises:
        RuntimeError: it fails.
    """
    whole, out = disturbed.folder / "whole", disturbed.folder / "killed"
    if not _completes(replace(disturbed, extra=()), whole, Counts()):
        raise RuntimeError(f"the undisturbed job fails: {' '.join(disturbed.command(whole))}")
    wanted, digest = disturbed.job.items(whole), disturbed.job.digest(whole)
    start = time.monotonic()
    if not _completes(disturbed, out, counts):
        raise RuntimeError(f"the job fails on the cluster: {' '.join(disturbed.command(out))}")
    counts.seconds = time.monotonic() - start
    _compare(disturbed, out, wanted, digest, counts)
    return wanted, digest


def _runs_until(running: "subprocess.Popen[bytes]", moment: float) -> bool:
    """Wait until a moment; return whether a process still runs then."""
    while time.monotonic() < moment and running.poll() is None:
        time.sleep(0.02)
    return running.poll() is None


def _completed(disturbed: Disturbed, out: Path, counts: Counts) -> None:
    """Start a job again until it ends well.

    Raises:
        RuntimeError: it does not.
    """
    if not any(_completes(disturbed, out, counts) for _ in range(_TRIES)):
        raise RuntimeError(f"{out}: the job does not end well after kills: {' '.join(disturbed.command(out))}")


def _started(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _killed(disturbed: Disturbed, out: Path, counts: Counts, rng: random.Random) -> None:
    """Start the job, or all runs of its array, and kill one of its processes at a random moment."""
    numbers = range(1, disturbed.shards + 1) if disturbed.shards > 1 else [None]
    running = [_started(disturbed.command(out, number)) for number in numbers]
    counts.starts += len(running)
    victim, kind = rng.choice(running), rng.choice(["driver", "worker"])
    start, wait = time.monotonic(), rng.uniform(0.1, 0.9) * counts.seconds
    while time.monotonic() - start < wait and victim.poll() is None:
        time.sleep(0.02)
    if victim.poll() is not None:  # the machine is faster now
        counts.seconds = min(counts.seconds, time.monotonic() - start)
    if victim.poll() is None:
        if kind == "worker" and (workers := _workers_of(victim.pid)):
            os.kill(rng.choice(workers), signal.SIGKILL)
            counts.kills["worker"] += 1
        else:
            victim.send_signal(signal.SIGKILL)
            counts.kills["shard" if disturbed.shards > 1 else "driver"] += 1
    for one in running:
        one.wait(_LONGEST)


def _workers_of(pid: int) -> list[int]:
    """Return the workers of a job: those of its children that are no helpers of Python's."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def _completes(disturbed: Disturbed, out: Path, counts: Counts) -> bool:
    """Run the job, or all runs of its array and the last step; return whether it ended well."""
    if disturbed.shards == 1:
        counts.starts += 1
        return _started(disturbed.command(out)).wait(_LONGEST) == 0
    codes = [_AGAIN]
    while _AGAIN in codes:
        running = [_started(disturbed.command(out, number)) for number in range(1, disturbed.shards + 1)]
        codes = [one.wait(_LONGEST) for one in running]
        counts.starts += len(codes)
    finish = _started([*_SWERVE, "finish", str(out)])
    return finish.wait(_LONGEST) == 0 and not any(codes)
