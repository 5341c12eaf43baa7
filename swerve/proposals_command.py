"""Run `swerve proposals`."""

from rich.console import Console
from rich.progress import track

from swerve.data.storage.files import make_folder, write_atomically
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.options.proposals import Proposals
from swerve.planners.baselines.train_ego_mlp import require_torch
from swerve.planners.load_planner import planner_name
from swerve.planners.trained_file import require_safetensors


def run(args: Proposals) -> int:
    """Write the page of a planner's proposals, and return the exit code."""
    require_torch()
    require_safetensors()
    from swerve.planners.rap import load_rap
    from swerve.planners.rap.proposals import proposals_on
    from swerve.planners.rap.proposals_page import proposals_page

    opened, loaded, console = open_benchmark(args.benchmark), load_rap(args.planner), Console()
    proposals = proposals_on(opened, loaded, args.groups, args.follow_ups)
    scored = list(track(proposals, "scoring", console=console, transient=True, disable=not console.is_terminal))
    lines = (
        f"{args.planner} on {args.benchmark.resolve().name}. The network proposes trajectories, predicts the "
        "sub-scores of each, and chooses the one with the highest score. True scores are computed by the exact scorer "
        "with log-replay traffic, as the training targets are.",
    )
    page = proposals_page(f"Proposals of {planner_name(args.planner)}", lines, scored, opened, loaded, args.shown)
    make_folder(args.out.parent)
    write_atomically(args.out, page.encode())
    console.print(f"wrote {args.out}", highlight=False, soft_wrap=True, markup=False)
    return 0
