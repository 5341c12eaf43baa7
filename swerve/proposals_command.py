"""Run `swerve proposals`."""

from rich.progress import track

from swerve.consoles import progress_console, results_console
from swerve.data.storage.files import write_file
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.options.proposals import Proposals
from swerve.output import write_output
from swerve.planners.load_planner import planner_name
from swerve.planners.trained_file import require_safetensors, require_torch


def run(args: Proposals) -> int:
    """Write the page of a planner's proposals, and return the exit code."""
    require_torch()
    require_safetensors()
    from swerve.planners.learning import load_learned
    from swerve.planners.rap.proposals import proposals_on
    from swerve.planners.rap.proposals_page import figures_of, proposals_page

    opened = open_benchmark(args.benchmark, args.views, splats=args.splats)
    loaded, console, progress = load_learned(args.planner), results_console(), progress_console()
    proposals = proposals_on(opened, loaded, args.groups, args.follow_ups)
    scored = list(track(proposals, "scoring", console=progress, transient=True, disable=not progress.is_terminal))
    lines = (
        f"{args.planner} on {args.benchmark.resolve().name}. The network proposes trajectories, predicts the "
        "sub-scores of each, and chooses the one with the highest score. True scores are computed by the exact scorer "
        "with log-replay traffic, as the training targets are.",
    )
    page = proposals_page(f"Proposals of {planner_name(args.planner)}", lines, scored, opened, loaded, args.shown)
    write_output(args.out, lambda path: write_file(path, page.encode()))
    for name, value in figures_of(scored):
        console.print(f"{name}: {value}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"wrote {args.out}", highlight=False, soft_wrap=True, markup=False)
    return 0
