"""Run `swerve verify`."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from swerve.consoles import results_console
from swerve.data.jobs.job_status import job_status
from swerve.data.jobs.verify import Damage, job_folder, no_job, remove_damaged, verify_folder
from swerve.data.storage.files import remove_file
from swerve.data.storage.mirror import shown
from swerve.job_report import counted
from swerve.options.verify import Verify
from swerve.rerun import require_options, rerun
from swerve.scenes.printable import printable

_SHOWN = 20


def run(args: Verify) -> int:
    """Check the output of a job, print what is wrong, and return the exit code."""
    console, own = results_console(), job_folder(args.folder)
    if own is None:
        raise no_job(args.folder)
    damages = _verified(console, own)
    if own != args.folder:  # tables of an evaluation, which are made from its records
        damages += _verified(console, args.folder)
    _tell_failures(console, args.folder)
    if not damages or not args.repair:
        return 1 if damages else 0
    require_options(args.folder)  # before anything is removed
    removed = [*remove_damaged(own, [damage for folder, damage in damages if folder == own])]
    removed += _without(args.folder, [damage for folder, damage in damages if folder != own])
    console.print(f"{counted(len(removed), 'file')} removed; the job makes again what is missing", highlight=False)
    return rerun(args.folder, None)


def _tell_failures(console: Console, folder: Path) -> None:
    """Print that items failed: they are not there, and not checked."""
    status = job_status(folder)
    if status.failures and status.failures_file:
        listed = f"{counted(status.failures, 'failure')} of the job, in {shown(status.failures_file)}"
        line = f"{listed}: no damage. The job's command tries them again"
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _verified(console: Console, folder: Path) -> list[tuple[Path, Damage]]:
    with console.status("") as spinner:
        result = verify_folder(folder, lambda files, size: spinner.update(f"{files} files, {size / 1e6:.0f} MB"))
    damaged = f"{len(result.damages) or 'nothing'} damaged"
    text = f"{shown(folder)}: {counted(result.files, 'file')}, {result.size / 1e6:.1f} MB: {damaged}"
    console.print(text, highlight=False, soft_wrap=True, markup=False, emoji=False)
    for damage in result.damages[:_SHOWN]:
        line = printable(f"  {damage.path} {damage.problem}")
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    if len(result.damages) > _SHOWN:
        console.print(f"  and {len(result.damages) - _SHOWN} more", highlight=False)
    return [(folder, damage) for damage in result.damages]


def _without(folder: Path, damages: Sequence[Damage]) -> list[Path]:
    """Remove damaged tables, which the job writes again; return them."""
    paths = [folder / damage.path for damage in damages]
    for path in paths:
        remove_file(path)
    return paths
