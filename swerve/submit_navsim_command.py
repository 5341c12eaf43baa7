"""Run `swerve submit navsim`."""

from pathlib import Path

from rich.console import Console

from swerve.consoles import progress_console, results_console
from swerve.data.jobs import local_processes
from swerve.data.jobs.file_reader import FileReader
from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.hidden_scenes import is_hidden, read_hidden_scenes
from swerve.data.sources.navsim.scene_filter import NavsimSplit, read_split
from swerve.data.sources.navsim.scene_windows import index_scenes
from swerve.data.storage.mirror import shown
from swerve.eval.benchmark.evaluate.planner_records import PlannerSpec
from swerve.eval.submission.check_submission import check_submission, expected_tokens
from swerve.eval.submission.submission import FILE_NAME, ONE_STAGE, TWO_STAGE, Predictions, Submission
from swerve.eval.submission.write_submission import write_submission
from swerve.job_report import execution_of, stoppable
from swerve.options.submit_navsim import SubmitNavsim
from swerve.planners.load_planner import with_options
from swerve.planners.navsim.predict import PredictionFailure, SceneSet
from swerve.planners.navsim.submission_job import predict_all
from swerve.planners.open_planner import PlannerLoader, open_planner
from swerve.scenes import SwerveError
from swerve.scenes.printable import printable
from swerve.submission_report import tell_check

_SOURCE = "navsim:"
_SHOWN_FAILURES = 3


def run(asked: SubmitNavsim) -> int:
    """Run the planner in all scenes, write and check the submission, and return the exit code."""
    console = results_console()
    split, scenes = _scenes(asked)
    tokens = _tokens(split, scenes, asked.version)
    with stoppable():
        predictions, failures = _predicted(asked, scenes, tokens)
    _tell_failures(failures, console)
    if failures and not asked.incomplete:
        console.print("nothing was written: the server rejects incomplete files. --incomplete writes it", style="red")
        return 1
    path = asked.out / FILE_NAME
    write_submission(Submission(asked.info, predictions), path)
    console.print(f"wrote {shown(path)}", highlight=False, markup=False, soft_wrap=True)
    return 1 if not _checked(path, split, asked.version, console) or failures else 0


def _scenes(asked: SubmitNavsim) -> tuple[NavsimSplit, SceneSet]:
    """Return the split and its scenes."""
    split, folders = read_split(asked.split), navsim_folders(asked.source.removeprefix(_SOURCE))
    if is_hidden(folders, split):
        return split, read_hidden_scenes(folders, split)
    read_files = FileReader(local_processes(execution_of(asked)), progress_console())
    return split, index_scenes(folders, split, read_files)


def _tokens(split: NavsimSplit, scenes: SceneSet, version: str | None) -> dict[str, list[str]]:
    """Return the tokens to plan for, by key of the file.

    Raises:
        SwerveError: the version does not fit the split, or no scene of it is there.
    """
    two_stage = split.scene_filter.include_synthetic_scenes
    if version == "v2" and not two_stage:
        raise SwerveError(f"split {split.name}: has one stage, a submission of NAVSIM v2 has two")
    found = {ONE_STAGE[0]: list(scenes.logged)}
    if two_stage and version != "v1":
        found = dict(zip(TWO_STAGE, [list(scenes.logged), list(scenes.reactive_stage_two)], strict=True))
    if empty := [key for key, tokens in found.items() if not tokens]:
        raise SwerveError(f"split {split.name}: no scene for {empty[0]} is there")
    return found


def _predicted(
    asked: SubmitNavsim, scenes: SceneSet, tokens: dict[str, list[str]]
) -> tuple[dict[str, Predictions], list[PredictionFailure]]:
    planner = open_planner(with_options(asked.planner, asked.planner_option), asked.limits)
    spec = PlannerSpec(planner.label, planner.spec, planner.identity)
    load = PlannerLoader(asked.limits, [planner])
    return predict_all(spec, load, scenes, tokens, asked.out, execution_of(asked), progress_console())


def _tell_failures(failures: list[PredictionFailure], console: Console) -> None:
    for failure in failures[:_SHOWN_FAILURES]:
        reason = failure.reason.splitlines()[-1]
        console.print(printable(f"failed in {failure.token}: {reason}"), style="red", markup=False, soft_wrap=True)
    if failures:
        console.print(f"the planner failed in {len(failures)} scenes", style="red")


def _checked(path: Path, split: NavsimSplit, version: str | None, console: Console) -> bool:
    """Print the check of the file; return whether it has no errors."""
    if split.scene_filter.tokens is None:
        console.print(f"not checked: split {split.name} lists no tokens", style="yellow", markup=False)
        return True
    expected = expected_tokens(split)
    if version == "v1":
        expected = {ONE_STAGE[0]: split.scene_filter.tokens}
    found = check_submission(path, expected)
    tell_check(found, console)
    return not found.errors
