"""Evaluate planners on WOD-E2E's rated frames, and print their rater feedback scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from swerve.cells import cell
from swerve.consoles import print_table
from swerve.data.jobs import Workers
from swerve.data.sources.registry import open_source
from swerve.data.sources.wod_e2e.wod_e2e_source import PREFIX, WodE2eSource
from swerve.eval.benchmark.evaluate.planner_records import Evaluation, PlannerSpec
from swerve.eval.rater_feedback.cluster_scores import CLUSTER_FILE, clusters_of, find_side_file, read_clusters
from swerve.eval.rater_feedback.evaluate_frames import evaluate_frames
from swerve.options.evaluate import EvaluateOptions
from swerve.planners.open_planner import OpenedPlanner, PlannerLoader
from swerve.scenes import Split, SwerveError
from swerve.scenes.printable import printable

_HEADS: Final = {"rfs": "RFS", "ade_3s": "ADE 3 s, m", "ade_5s": "ADE 5 s, m", "inside": "inside, %"}


def evaluate_wod_e2e(
    text: str,
    planners: Sequence[OpenedPlanner],
    out: Path,
    options: EvaluateOptions,
    workers: Workers = None,
    console: Console | None = None,
) -> Evaluation:
    """Evaluate planners on the rated frames of wod_e2e:PATH; without clusters, which is printed, by the mean of frames.

    Raises:
        SwerveError: no frame is rated, the options ask for what the data do not have, or see `evaluate_frames`.
    """
    _check_options(text, options)
    source = open_wod_e2e(text)
    rated = [entry for entry in source.entries_of(_split(text, options.split)) if entry.ratings]
    if not rated:
        raise SwerveError(f"{text}: no frame has ratings: only the validation split has, on one frame of a sequence")
    file = options.clusters or find_side_file(source.path, CLUSTER_FILE)
    clusters = clusters_of([entry.sequence for entry in rated], read_clusters(file), file) if file else None
    if clusters is None and console:
        line = f"{CLUSTER_FILE} is not beside the data, and no --clusters: scores are means over frames, not clusters"
        console.print(line, style="yellow", markup=False, soft_wrap=True)
    entries = [PlannerSpec(named.label, named.spec, named.identity) for named in planners]
    return evaluate_frames(
        source, rated, clusters, entries, PlannerLoader(options.limits, planners), out, workers, console
    )


def open_wod_e2e(text: str) -> WodE2eSource:
    """Return the source of wod_e2e:PATH, or of PATH.

    Raises:
        SwerveError: there is none.
    """
    source = open_source(PREFIX + text.removeprefix(PREFIX))
    assert isinstance(source, WodE2eSource)
    return source


def print_rater_feedback(summary: Mapping[str, Any], console: Console) -> None:
    """Print the planners, best first, their means by cluster, and where plans were extended."""
    print_table(console, leaderboard(summary))
    if summary["mean_over"] == "clusters":
        print_table(console, cluster_table(summary))
    if extended := [label for label, row in summary["planners"].items() if row["extended"]]:
        line = f"{', '.join(extended)}: plans end before 5 s; they continue at the velocity of their last step"
        console.print(printable(line), style="yellow", markup=False, soft_wrap=True)


def leaderboard(summary: Mapping[str, Any]) -> Table:
    """Return a table of the planners, best first."""
    over = summary["mean_over"]
    counts = {len(row["by_cluster"]) for row in summary["planners"].values()}
    what = f"{max(counts)} scenario clusters" if over == "clusters" else "frames"
    table = _table(f"{summary['frames']} rated frames; means over {what}")
    table.add_column("planner", overflow="fold", min_width=12)
    for name in (*_HEADS.values(), "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    for label, row in sorted(summary["planners"].items(), key=lambda item: -item[1]["score"]):
        failed = str(row["failures"]) if row["failures"] else "-"
        table.add_row(cell(label, "bold"), *_cells(row[f"mean_over_{over}"]), failed)
    return table


def cluster_table(summary: Mapping[str, Any]) -> Table:
    """Return a table of mean rater feedback scores by cluster, a column for each planner."""
    planners = summary["planners"]
    first = next(iter(planners.values()))
    table = _table("RFS by scenario cluster")
    for name in ("cluster", "frames", *planners):
        table.add_column(cell(name), justify="left" if name == "cluster" else "right", overflow="fold")
    for cluster, own in first["by_cluster"].items():
        scores = [f"{row['by_cluster'][cluster]['rfs']:.3f}" for row in planners.values()]
        table.add_row(cell(cluster), str(own["frames"]), *scores)
    return table


def _table(title: str) -> Table:
    return Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")


def _cells(means: Mapping[str, float | None]) -> list[str]:
    shown = {**means, "inside": None if means["inside"] is None else 100 * means["inside"]}
    return ["-" if (value := shown[name]) is None else f"{value:.{0 if name == 'inside' else 3}f}" for name in _HEADS]


def _split(text: str, split: str | None) -> Split | None:
    for known in get_args(Split):
        if split == known:
            return known  # type: ignore[no-any-return]  # one of the literals
    if split is None:
        return None
    raise SwerveError(f"{text}: --split is one of {', '.join(get_args(Split))}, not {split!r}")


def _check_options(text: str, options: EvaluateOptions) -> None:
    """Check that no option is given that WOD-E2E has nothing for.

    Raises:
        SwerveError: one is.
    """
    values = (options.traffic, options.weighting != EvaluateOptions().weighting, options.views, options.splats)
    given = dict(zip(("--traffic", "--weighting", "--views", "--splats"), values, strict=True))
    if named := [name for name, value in given.items() if value]:
        raise SwerveError(f"{text}: has photographs and ego states only: leave out {' and '.join(named)}")
