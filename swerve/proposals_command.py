"""Run `swerve proposals`."""

from rich.console import Console
from rich.progress import track

from swerve.data.storage.files import make_folder, write_atomically
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.options.proposals import Proposals
from swerve.planners.baselines.ego_mlp import require_safetensors
from swerve.planners.baselines.train_ego_mlp import require_torch
from swerve.planners.load_planner import planner_name


def run(asked: Proposals) -> int:
    """Write the page of a planner's proposals, and return the exit code."""
    require_torch()
    require_safetensors()
    from swerve.planners.rap import load_rap
    from swerve.planners.rap.proposals import proposals_on
    from swerve.planners.rap.proposals_page import proposals_page

    opened, loaded, console = open_benchmark(asked.benchmark), load_rap(asked.planner), Console()
    made = proposals_on(opened, loaded, asked.groups, asked.follow_ups)
    judged = list(track(made, "scoring", console=console, transient=True, disable=not console.is_terminal))
    told = (
        f"{asked.planner} on {asked.benchmark.resolve().name}. The network proposes trajectories, predicts the "
        "sub-scores of each, and drives the one whose score, made of them, is highest. True scores are the exact "
        "scorer's, with agents as in the log, which is what the network is trained to predict.",
    )
    page = proposals_page(f"Proposals of {planner_name(asked.planner)}", told, judged, opened, loaded, asked.shown)
    make_folder(asked.out.parent)
    write_atomically(asked.out, page.encode())
    console.print(f"wrote {asked.out}", highlight=False, soft_wrap=True, markup=False)
    return 0
