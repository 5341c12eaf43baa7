"""Kill jobs at random, and count what is lost: `python -m experiments.faults --jobs augment build --kills 10`.

Drivers, workers and runs of arrays (`--shards 2`) get SIGKILL at random moments; the job is started again until it
ends, and its output is compared with that of an undisturbed run. With `--nodes 3` the job runs on a Ray cluster of so
many nodes on this machine; nodes are killed and replaced, and the job has to go on by itself. With `--heads` the head
is killed, every second time with the driver, and the job is started again on another cluster. The exit code is 1 if an
item is lost or doubled, or a digest differs.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from experiments.faults.jobs import JOBS
from experiments.faults.kills import Counts, Disturbed, disturb, disturb_heads, disturb_nodes
from experiments.faults.nodes import RayNodes, ray_nodes


def main(arguments: Sequence[str]) -> int:
    """Disturb the jobs, print a line for each, and return the exit code."""
    args = _parsed(arguments)
    if args.heads and not args.nodes:
        print("--heads: give --nodes", file=sys.stderr)
        return 2
    if args.nodes and (args.shards > 1 or args.extra or args.nodes < 2):
        print("--nodes: 2 or more, without --shards and --extra", file=sys.stderr)
        return 2
    if args.shards > 1 and (whole := [name for name in args.jobs if not JOBS[name].shared]):
        print(f"{', '.join(whole)}: not shared by runs of an array", file=sys.stderr)
        return 2
    faults = 0
    with (
        tempfile.TemporaryDirectory(prefix="swerve-faults-") as folder,
        ray_nodes(args.nodes) if args.nodes else nullcontext() as nodes,
    ):
        print(
            f"{'job':<10} {'shards':>6} {'kills':>24} {'starts':>6} {'runs':>4} {'lost':>5} {'doubled':>7} {'equal':>6}"
        )
        for name in args.jobs:
            counts = _disturbed(name, Path(folder), args, nodes)
            print(_line(name, args.shards, counts), flush=True)
            faults += counts.lost + counts.doubled + counts.runs - counts.equal
    return 1 if faults else 0


def _disturbed(name: str, folder: Path, args: argparse.Namespace, nodes: RayNodes | None) -> Counts:
    job = JOBS[name]
    needed = folder / job.needs / "whole" if job.needs else folder
    if job.needs and not needed.is_dir():
        # An undisturbed run alone.
        disturb(Disturbed(JOBS[job.needs], folder, folder / job.needs), 0, random.Random(0))
    if nodes is not None:
        workers = ("--workers", str(args.nodes - 1)) if job.workers else ()
        on_ray = Disturbed(job, needed, folder / name, extra=("--on", "ray"), workers=workers)
        return (disturb_heads if args.heads else disturb_nodes)(on_ray, args.kills, random.Random(args.seed), nodes)
    extra = tuple(args.extra.split()) if args.extra else ()
    disturbed = Disturbed(job, needed, folder / (name if args.shards == 1 else f"{name}-array"), args.shards, extra)
    return disturb(disturbed, args.kills, random.Random(args.seed))


def _line(name: str, shards: int, counts: Counts) -> str:
    kills = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.kills.items()))
    numbers = (
        f"{counts.starts:>6} {counts.runs:>4} {counts.lost:>5} {counts.doubled:>7} {counts.equal:>3}/{counts.runs}"
    )
    return f"{name:<10} {shards:>6} {kills:>24} {numbers}"


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.faults", description=__doc__)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--kills", type=int, default=10, help="processes to kill in each job")
    parser.add_argument("--shards", type=int, default=1, help="runs of an array; 1: the whole job at once")
    parser.add_argument("--nodes", type=int, default=0, help="nodes of a Ray cluster, which are killed; 0: none")
    parser.add_argument("--heads", action="store_true", help="kill the head of the Ray cluster instead of nodes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--extra", default="", help="more arguments of the commands, such as --on ray")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
