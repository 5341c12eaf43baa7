"""Run jobs to an S3 server whose answers go wrong: `python -m experiments.faults.stores --shares 0.01 0.1 0.5`.

Of all answers of moto's server a share is 500, 503, late, cut short or missing. A job that gives up is started again;
its output is compared with that of an undisturbed run in a folder. The exit code is 1 if a digest differs, or an error
is not one line.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from experiments.faults.jobs import JOBS
from swerve.data.storage.fsspec_store import open_store
from tests.support.s3_server import KINDS, Faults, s3_server

_SWERVE = (sys.executable, "-c", "from swerve.cli import main; main()")
# Starts after which a job that does not end well is given up.
_STARTS = 20


def main(arguments: Sequence[str]) -> int:
    """Disturb the jobs, print a line for each share, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.faults.stores", description=__doc__)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=["augment", "contexts", "build", "evaluate"])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.01, 0.1, 0.5])
    parser.add_argument("--patience", type=float, default=10.0, help="seconds for which a request is tried again")
    args = parser.parse_args(arguments)
    os.environ["SWERVE_STORE_RETRY_SECONDS"] = str(args.patience)
    wrong, faults = 0, Faults()
    print(f"{'job':<10} {'share':>6} {'starts':>6} {'requests':>8} {'faults':>6}  same digest")
    with tempfile.TemporaryDirectory(prefix="swerve-stores-") as folder, s3_server(faults) as url:
        whole = {name: _undisturbed(name, Path(folder)) for name in _with_needed(args.jobs)}
        for name in args.jobs:
            for share in args.shares:
                faults.share = 0.0
                if needed := JOBS[name].needs:
                    _upload(whole[needed], f"{url}/{share}/{needed}")
                faults.counts.clear()
                faults.share = share
                starts, plain = _completed(name, f"{url}/{share}", Path(folder))
                faults.share = 0.0
                requests = sum(faults.counts[method] for method in ("GET", "PUT", "HEAD", "POST", "DELETE"))
                bad = sum(faults.counts[kind] for kind in KINDS)
                there = _download(f"{url}/{share}/{name}", Path(folder) / f"{share}" / name)
                same = JOBS[name].digest(there) == JOBS[name].digest(whole[name])
                wrong += not (same and plain)
                print(f"{name:<10} {share:>6} {starts:>6} {requests:>8} {bad:>6}  {same}", flush=True)
    return 1 if wrong else 0


def _with_needed(names: Sequence[str]) -> list[str]:
    """Return the jobs after those that they need."""
    return list(dict.fromkeys(one for name in names for one in (JOBS[name].needs, name) if one))


def _undisturbed(name: str, folder: Path) -> Path:
    """Run a job in a folder."""
    _run(name, str(folder / name), folder / (JOBS[name].needs or name), folder, check=True)
    return folder / name


def _run(
    name: str, out: str, needed: Path | str, folder: Path, check: bool = False
) -> "subprocess.CompletedProcess[str]":
    given = [out if one == "OUT" else one for one in JOBS[name].arguments(needed, folder)]
    return subprocess.run([*_SWERVE, *given, *JOBS[name].workers], capture_output=True, text=True, check=check)


def _completed(name: str, place: str, folder: Path) -> tuple[int, bool]:
    """Start a job until it ends well; return the number of starts, and whether all its errors were one line."""
    plain = True
    for start in range(1, _STARTS + 1):
        done = _run(name, f"{place}/{name}", f"{place}/{JOBS[name].needs}", folder)
        if done.returncode == 0:
            return start, plain
        plain &= "Traceback" not in done.stderr
    raise RuntimeError(f"{name}: does not end well: {done.stderr[-300:]}")


def _upload(folder: Path, url: str) -> None:
    """Copy an output to the store, unless it is there."""
    store = open_store(url)
    if not any(True for _ in store.list()):
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"):
            store.put(path.relative_to(folder).as_posix(), path)


def _download(url: str, folder: Path) -> Path:
    """Copy an output from the store."""
    store = open_store(url)
    for one in store.list():
        store.get(one.name, folder / one.name, one.size)
    return folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
