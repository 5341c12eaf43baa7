"""Run `swerve submit wod`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rich.console import Console

from swerve.consoles import progress_console, results_console
from swerve.data.sources.wod_e2e.frame_index import FrameEntry
from swerve.data.sources.wod_e2e.wod_e2e_source import WodE2eSource
from swerve.data.storage.mirror import shown
from swerve.eval.benchmark.evaluate.planner_records import PlannerSpec
from swerve.eval.rater_feedback.cluster_scores import find_side_file
from swerve.eval.rater_feedback.plan_job import plan_all
from swerve.eval.submission.check_wod_submission import FRAMES_FILE, check_wod_submission, read_frames_to_submit
from swerve.eval.submission.wod_submission import FILE_NAME, submission_class, write_wod_submission
from swerve.evaluate_wod_e2e import open_wod_e2e
from swerve.job_report import execution_of, stoppable
from swerve.options.submit_wod import SubmitWod
from swerve.planners.load_planner import with_options
from swerve.planners.open_planner import PlannerLoader, open_planner
from swerve.scenes import SwerveError
from swerve.scenes.printable import printable
from swerve.submission_report import WOD_SERVER, tell_check

_SHOWN: Final = 3


def run(asked: SubmitWod) -> int:
    """Run the planner in all frames, write and check the submission, and return the exit code."""
    console = results_console()
    submission_class()  # before anything is planned
    source = open_wod_e2e(asked.source)
    frames = read_frames_to_submit(_frames_file(source, asked.frames))
    entries = _entries(source, frames, asked.incomplete, console)
    if asked.shards > len(entries):
        raise SwerveError(f"shards: {asked.shards} are more than the {len(entries)} frames to submit")
    planner = open_planner(with_options(asked.planner, asked.planner_option), asked.limits)
    spec, load = PlannerSpec(planner.label, planner.spec, planner.identity), PlannerLoader(asked.limits, [planner])
    with stoppable():
        predictions, failures = plan_all(
            spec, load, source, entries, asked.out, execution_of(asked), progress_console()
        )
    _tell_failures(failures, console)
    if failures and not (asked.incomplete and predictions):
        console.print("nothing was written: the server rejects incomplete files. --incomplete writes it", style="red")
        return 1
    path = asked.out / FILE_NAME
    write_wod_submission(path, asked.info, predictions, asked.shards)
    console.print(f"wrote {shown(path)}", highlight=False, markup=False, soft_wrap=True)
    found = check_wod_submission(path, frames)
    tell_check(found, console, WOD_SERVER)
    return 1 if found.errors or failures else 0


def _frames_file(source: WodE2eSource, given: Path | None) -> Path:
    """Return the file with the frames to submit.

    Raises:
        SwerveError: none is given, and none is beside the data.
    """
    found = given or find_side_file(source.path, FRAMES_FILE)
    if found is None:
        raise SwerveError(
            f"{source.path}: {FRAMES_FILE} is not there, which says which frames to submit. It is in the data set's "
            "bucket; or name it with --frames FILE.json"
        )
    return found


def _entries(source: WodE2eSource, frames: Mapping[str, int], incomplete: bool, console: Console) -> list[FrameEntry]:
    """Return the frames to submit.

    Raises:
        SwerveError: some are not in the data, and `incomplete` is not given; or none is.
    """
    there = {(entry.sequence, entry.frame): entry for entry in source.index().entries}
    missing = [f"{name}-{index:03d}" for name, index in frames.items() if (name, index) not in there]
    if missing:
        examples = ", ".join(missing[:_SHOWN])
        problem = f"{len(missing)} of {len(frames)} frames to submit are not there, such as {examples}"
        if not incomplete or len(missing) == len(frames):
            raise SwerveError(f"{source.path}: {problem}. Are all shards of the test split downloaded?")
        console.print(printable(problem), style="yellow", markup=False, soft_wrap=True)
    return [there[key] for key in frames.items() if key in there]


def _tell_failures(failures: Mapping[str, str], console: Console) -> None:
    for name, error in list(failures.items())[:_SHOWN]:
        console.print(printable(f"failed in {name}: {error}"), style="red", markup=False, soft_wrap=True)
    if failures:
        console.print(f"the planner failed in {len(failures)} frames", style="red")
