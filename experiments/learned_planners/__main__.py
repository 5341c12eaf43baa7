"""Commands of the experiment: see the package."""

import argparse
import fcntl
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.learned_planners import __doc__ as description
from experiments.learned_planners.arms import ARMS, DIAGNOSIS, REFERENCES, Arm
from experiments.learned_planners.evaluation import BlindPlanner, choice_measures, open_measures
from experiments.learned_planners.samples import Samples
from experiments.learned_planners.tables import write_page
from experiments.learned_planners.training import train_arm, uses_visited, visited_by
from experiments.learned_planners.work import OPEN, SAMPLES, Work, append, noted, opened_work, place_of
from swerve.planners.learning import load_learned
from swerve.planners.load_planner import load_planner
from swerve.scenes import SwerveError
from swerve.scenes.planning import Planner
from swerve.training_rounds import RoundSet

VISITOR = "+ follow-up"
PASSES = (0, 1, 2)


def pass_of(arm: Arm) -> int:
    """Return the pass in which an arm is run: RAP on given viewpoints, then on visited ones, then other families."""
    return 2 if arm.family != "rap" else int(uses_visited(arm))


def run(work: Work, seeds: Sequence[int], arms: Sequence[Arm]) -> None:
    """Train and evaluate in open loop, pass by pass and seed by seed; a finished run is left as it is."""
    for name in REFERENCES:
        if not noted(work.runs / OPEN, name, None):
            began = time.process_time()
            values = open_measures(work.bench, load_planner(name).planner)
            append(work, OPEN, {"arm": name, "seed": None, "values": values, "cpu": time.process_time() - began})
    for number, seed in ((number, seed) for number in PASSES for seed in seeds):
        for arm in (one for one in arms if pass_of(one) == number):
            if not noted(work.runs / OPEN, arm.name, seed):
                _run_one(work, arm, seed)


def _run_one(work: Work, arm: Arm, seed: int) -> None:
    """Train and evaluate one run, and append its line."""
    began, folder = time.process_time(), place_of(work.runs, arm, seed)
    sets = work.sets.both
    if uses_visited(arm):
        sets = [*sets, _visited(work)]
    drawn = time.process_time()
    path = train_arm(arm, seed, work.steps, sets, work.sets, folder)
    trained = time.process_time()
    planner = load_learned(path, "cpu")
    choice, calibration = choice_measures(work.bench, planner, arm.blind)
    driven = open_measures(work.bench, BlindPlanner(planner) if arm.blind else planner)
    note = {
        "arm": arm.name,
        "seed": seed,
        "steps": work.steps,
        "weights": sum(one.numel() for one in planner.model.parameters()),
        "trained weights": sum(one.numel() for one in planner.model.parameters() if one.requires_grad),
        "cpu": {
            "drawing": drawn - began,
            "training": trained - drawn,
            "evaluation": time.process_time() - trained,
        },
        "values": driven | choice,
        "calibration": calibration,
    }
    append(work, OPEN, note)


def _visited(work: Work) -> RoundSet:
    """Return the set of the states that the first seed's visitor visits, made by the first process that asks."""
    visitor = next(one for one in ARMS if one.name == VISITOR)
    planner = place_of(work.runs, visitor, 0) / "planner.safetensors"
    with open(work.runs / "visited.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return visited_by(planner, work.sets, work.runs / "visited")


def drive(work: Work, seeds: Sequence[int], arms: Sequence[Arm], patience: float) -> None:
    """Evaluate finished runs in closed loop, and wait for others."""
    for name in REFERENCES:
        _drive_one(work, name, None, load_planner(name).planner)
    for number, seed in ((number, seed) for number in PASSES for seed in seeds):
        for arm in (one for one in arms if pass_of(one) == number):
            until = time.monotonic() + patience
            while not noted(work.runs / OPEN, arm.name, seed):
                if time.monotonic() > until:
                    raise SwerveError(f"{arm.name}, seed {seed}: is not trained")
                time.sleep(5.0)
            planner = load_learned(place_of(work.runs, arm, seed) / "planner.safetensors", "cpu")
            _drive_one(work, arm.name, seed, BlindPlanner(planner) if arm.blind else planner)


def _drive_one(work: Work, name: str, seed: int | None, planner: Planner) -> None:
    if noted(work.runs / work.closed, name, seed):
        return
    began = time.process_time()
    values = {"closed loop": [work.bench.closed_loop(group, planner) for group in work.bench.names]}
    append(work, work.closed, {"arm": name, "seed": seed, "values": values, "cpu": time.process_time() - began})


def judge_samples(work: Work, seeds: Sequence[int], arms: Sequence[Arm]) -> None:
    """Evaluate the choice of finished runs with images on samples of training towns and of others."""
    samples = Samples(work.sets, 192)
    for seed in seeds:
        for arm in (one for one in arms if one.family == "rap" and not one.blind):
            if noted(work.runs / OPEN, arm.name, seed) and not noted(work.runs / SAMPLES, arm.name, seed):
                planner = load_learned(place_of(work.runs, arm, seed) / "planner.safetensors", "cpu")
                append(work, SAMPLES, {"arm": arm.name, "seed": seed, "samples": samples.measures(planner)})


def main() -> None:
    """Parse the command line and run the command."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "drive", "samples"):
        command = commands.add_parser(name)
        command.add_argument("inputs", type=Path)
        command.add_argument("runs", type=Path)
        command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
        command.add_argument("--arms", nargs="+", choices=[arm.name for arm in (*ARMS, *DIAGNOSIS)])
        command.add_argument("--steps", type=int, default=600)
        command.add_argument("--bench", nargs="+", default=["bench"], help="benchmarks in IN")
        command.add_argument("--driven", type=int, default=1, help="scene groups of a town in closed loop")
        command.add_argument("--every", type=int, default=1, help="of the towns in closed loop, every so many")
        command.add_argument("--offset", type=int, default=0, help="the first of these")
        command.add_argument("--patience", type=float, default=3600.0, help="seconds that drive waits for a run")
    command = commands.add_parser("tables")
    command.add_argument("runs", type=Path)
    command.add_argument("page", type=Path)
    args = parser.parse_args()
    if args.command == "tables":
        write_page(args.runs, args.page)
        return
    torch.set_num_threads(1)
    work = opened_work(
        args.inputs, args.runs, args.steps, args.bench, driven=args.driven, every=args.every, offset=args.offset
    )
    arms = [arm for arm in ARMS if not args.arms or arm.name in args.arms]
    arms += [arm for arm in DIAGNOSIS if arm.name in (args.arms or ())]
    if args.command == "samples":
        judge_samples(work, args.seeds, arms)
    elif args.command == "run":
        run(work, args.seeds, arms)
    else:
        drive(work, args.seeds, arms, args.patience)


if __name__ == "__main__":
    main()
