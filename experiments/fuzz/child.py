"""The process that runs cases: its memory is limited, and it can be killed without harm."""

import gc
import logging
import os
import resource
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from experiments.fuzz.outcome import CRASH, TIME, Outcome, judged
from experiments.fuzz.reader import Reader, write_case

# Memory that a case may take beyond what the process has before the first, and its time.
MEMORY_BYTES: Final = 2**31
SECONDS: Final = 20.0
_START_SECONDS: Final = 600.0


@dataclass(frozen=True)
class Limits:
    """Limits of a case: bytes beyond those of the waiting process, and seconds."""

    memory: int = MEMORY_BYTES
    seconds: float = SECONDS


def run_cases(name: str, seed: int, cases: Sequence[int], limits: Limits) -> Iterator[Outcome]:
    """Yield the outcomes of cases of a reader, run in one process; one that hangs or dies is replaced."""
    left = list(cases)
    while left:
        for outcome in _in_one_process(name, seed, left, limits):
            left = left[1:]
            yield outcome


def _in_one_process(name: str, seed: int, cases: Sequence[int], limits: Limits) -> Iterator[Outcome]:
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(there, name, seed, cases, limits))
    process.start()
    there.close()
    try:
        if not here.poll(_START_SECONDS) or not _begun(here):
            raise RuntimeError(f"{name}: the valid files could not be written or read")
        for case in cases:
            if not here.poll(limits.seconds):
                yield Outcome(case, TIME, "", f"more than {limits.seconds:g} s")
                return
            try:
                yield here.recv()
            except EOFError:
                process.join()
                yield Outcome(case, CRASH, "", f"the process ended with {process.exitcode}")
                return
    finally:
        process.kill()
        process.join()


def _begun(pipe: Connection) -> bool:
    try:
        return bool(pipe.recv() == "ready")
    except EOFError:
        return False


def _serve(pipe: Connection, name: str, seed: int, cases: Sequence[int], limits: Limits) -> None:
    """Run cases and send their outcomes."""
    from experiments.fuzz.readers import READERS

    with tempfile.TemporaryDirectory() as scratch:
        reader, root = READERS[name], Path(scratch)
        logging.disable(logging.CRITICAL)
        prepare(reader, root / "seeds")
        _limit(limits.memory)
        pipe.send("ready")
        for case in cases:
            pipe.send(run_case(reader, root, seed, case))


def prepare(reader: Reader, seeds: Path) -> None:
    """Write the valid files and read them once, so that imports and compiled kernels count for no case."""
    seeds.mkdir()
    reader.write(seeds)
    reader.read(seeds)


def run_case(reader: Reader, root: Path, seed: int, case: int) -> Outcome:
    """Return the outcome of one case."""
    folder, error = root / f"case-{case}", None
    changed = write_case(reader, root / "seeds", folder, seed, case)
    try:
        with warnings.catch_warnings(), open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            warnings.simplefilter("ignore")
            reader.read(folder)
    except Exception as raised:
        error = raised
    outcome = judged(case, changed, folder, error)
    del error
    shutil.rmtree(folder)
    if case % 50 == 0:
        gc.collect()
    return outcome


def _limit(more: int) -> None:
    """Limit the address space of this process to what it has, and so many bytes more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
