"""`swerve proposals`: what a trained planner thinks of its own proposals."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from swerve.data.storage.files import make_folder, write_atomically
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.planners.baselines.ego_mlp import require_safetensors
from swerve.planners.baselines.train_ego_mlp import require_torch
from swerve.probe_command import planner_name


def proposals(
    planner: Annotated[Path, typer.Argument(help="FILE.safetensors of swerve train rap.")],
    benchmark: Annotated[Path, typer.Argument(help="A folder made by swerve build, with the planner's cameras.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The HTML file.")],
    cases: Annotated[int, typer.Option(help="Cases at most, evenly over the benchmark.", min=1)] = 100,
    shown: Annotated[int, typer.Option(help="Scenes that are drawn.", min=1)] = 6,
    follow_ups: Annotated[bool, typer.Option("--follow-ups", help="Take the cases' follow-up scenes as well.")] = False,
) -> None:
    """Write a page that shows a planner's proposals, coloured by the scores that it predicts and by their true ones.

    Over all scenes: whether promises are kept, whether their order is right, and what choosing by them costs. Of some
    scenes: all proposals on the map and in the front camera. Needs the extra `torch`.

    Example: swerve proposals runs/rap/planner.safetensors bench proposals.html
    """
    require_torch()
    require_safetensors()
    from swerve.planners.rap import load_rap
    from swerve.planners.rap.proposals import proposals_on
    from swerve.planners.rap.proposals_page import proposals_page

    opened, loaded, console = open_benchmark(benchmark), load_rap(planner), Console()
    made = proposals_on(opened, loaded, cases, follow_ups)
    judged = list(track(made, "scoring", console=console, transient=True, disable=not console.is_terminal))
    told = (
        f"{planner} on {benchmark.resolve().name}. The network proposes trajectories, predicts the sub-scores of each, "
        "and drives the one whose score, made of them, is highest. True scores are the exact scorer's, with the others "
        "driving as in the log, which is what the network is trained to predict.",
    )
    page = proposals_page(f"Proposals of {planner_name(planner)}", told, judged, opened, loaded, shown)
    make_folder(out.parent)
    write_atomically(out, page.encode())
    console.print(f"wrote {out}", highlight=False, soft_wrap=True, markup=False)
