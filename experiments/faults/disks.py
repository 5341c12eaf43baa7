"""Run jobs into a disk that is full, or read-only: `python -m experiments.faults.disks [--jobs augment fit]`.

The disk is a tmpfs, which root mounts, of a share of what the undisturbed job writes. The job has to end with one line;
then the disk grows, or is made writable, and the same command has to end with the undisturbed digest. A read-only disk
holds what a job wrote before that was killed or had a full disk. The exit code is 1 if anything else happens.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from experiments.faults.jobs import JOBS
from experiments.faults.kills import Disturbed

_SHARES = (0.0, 0.5, 0.9)
_PLENTY = "1g"


def main(arguments: Sequence[str]) -> int:
    """Disturb the jobs, print a line for each disk, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.faults.disks", description=__doc__)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--shares", nargs="+", type=float, default=_SHARES, help="of what the job writes")
    args = parser.parse_args(arguments)
    wrong = 0
    print(f"{'job':<10} {'bytes':>9} {'disk':>9}  {'code':>4}  same digest, and what was said")
    with tempfile.TemporaryDirectory(prefix="swerve-disks-") as name:
        for job in args.jobs:
            for line, good in _of_job(job, Path(name), args.shares):
                print(f"{job:<10} {line}", flush=True)
                wrong += not good
    return 1 if wrong else 0


def _of_job(name: str, folder: Path, shares: Sequence[float]) -> Iterator[tuple[str, bool]]:
    """Yield a line for each disk, and whether all went well."""
    whole = _undisturbed(name, folder)
    size = sum(4096 * -(-path.stat().st_size // 4096) for path in whole.rglob("*") if path.is_file())
    for share in shares:
        with _disk(folder / "disk", f"{max(int(share * size), 65536)}") as disk:
            disturbed = _disturbed(name, folder, disk)
            yield _tried(disturbed, size, f"{100 * share:.0f} % of it", whole)
            if share == shares[-1]:
                (disk / "out" / "failures.json").unlink(missing_ok=True)  # something is missing
                _mount(disk, "remount,ro")
                yield _tried(disturbed, size, "read-only", whole)


def _tried(disturbed: Disturbed, size: int, what: str, whole: Path) -> tuple[str, bool]:
    """Run a job, which has to fail in one line, or to have had enough; then again with a disk of enough size."""
    out = disturbed.folder / "out"
    failed = subprocess.run(disturbed.command(out), capture_output=True, text=True, check=False)
    _mount(disturbed.folder, f"remount,rw,size={_PLENTY}")
    again = subprocess.run(disturbed.command(out), capture_output=True, text=True, check=False)
    same = again.returncode == 0 and disturbed.job.digest(out) == disturbed.job.digest(whole)
    told = [line for line in failed.stderr.splitlines() if line.strip()]
    last = told[-1] if told else ""
    good = same and "Traceback" not in failed.stderr and (failed.returncode == 0 or "cannot be" in last)
    text = f"{size:>9} {what:>9}  {failed.returncode:>4}  {'yes' if same else 'NO'}  {last[-160:]}"
    return text, good


def _undisturbed(name: str, folder: Path) -> Path:
    """Run a job, after the one that it needs, into a folder; return it."""
    out = folder / name / "whole"
    if not out.is_dir():
        if JOBS[name].needs:
            _undisturbed(JOBS[name].needs, folder)
        command = _disturbed(name, folder, folder / name).command(out)
        subprocess.run(command, capture_output=True, check=True)
    return out


def _disturbed(name: str, folder: Path, place: Path) -> Disturbed:
    job = JOBS[name]
    return Disturbed(job, folder / job.needs / "whole" if job.needs else folder, place)


@contextmanager
def _disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a disk of so many bytes."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "swerve-faults", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", options, str(folder)], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
