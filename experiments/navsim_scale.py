"""Evaluate as many NAVSIM scenes as a benchmark has: `python -m experiments.navsim_scale ROOT SPLIT.yaml`.

Copies the logs of a split under new names until there are as many scenes (navtest has 12,146 in 136 logs), runs `swerve
evaluate` on them as a user does, and traces memory, open files and scenes per second. Of a two-stage split it copies
scene groups, with their synthetic scenes (navhard_two_stage has 225 in 76 logs, 12.1 pairs of follow-ups each). Then,
in a process of its own, measures how long maps take to load, and what they hold. ROOT has what NAVSIM has: navsim_logs,
maps, sensor_blobs, and the folder of synthetic scenes.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measure import report
from experiments.navsim_copies import scenes_of_logs, write_copies
from experiments.navsim_two_stage_copies import Sizes, write_two_stage_copies
from experiments.process_trace import Moment, holdings, stages, traced
from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.data.sources.navsim.scene_windows import index_scenes
from swerve.data.sources.navsim.scoring_map import scoring_map
from swerve.data.sources.nuplan.nuplan_maps import load_nuplan_map, map_file
from swerve.data.sources.nuplan.nuplan_road_map import road_map_of
from swerve.eval.benchmark.navsim_benchmark import BATCH, ONE_STAGE_TRAFFIC, TWO_STAGE_TRAFFIC
from swerve.eval.benchmark.navsim_scenes import map_location
from tests.support.nuplan_writer import LOCATION, write_maps

# Of navtest, and of navhard_two_stage.
SCENES, LOGS = 12_146, 136
GROUPS, GROUP_LOGS, PAIRS = 225, 76, 12
# Metres around a scene that are scored, as evaluation cuts them.
REACH = 600.0


def main(arguments: Sequence[str]) -> int:
    """Measure and report."""
    args = _parsed(arguments)
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        root, start = Path(scratch) / "data", time.perf_counter()
        copies = _copied(args, root)
        size = sum(file.stat().st_size for file in root.rglob("*.pkl")) / 2**20
        print(f"{copies.scenes} scenes in {copies.logs} logs, {size:.0f} MiB, in {time.perf_counter() - start:.0f} s")
        code, moments = evaluated(root, copies, Path(scratch) / "results", args)
    if code:
        return code
    scenes, stages_of = copies.scenes, "two stages" if copies.two_stage else "one stage"
    title = f"{scenes} scenes in {stages_of}, {copies.traffic}, {args.planner}, {args.workers} workers"
    name = f"navsim_scale_{copies.traffic}{'_two_stage' if copies.two_stage else ''}"
    report(name, title, rows(moments, scenes), [_whole(moments, scenes)])
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        report("navsim_maps", "Maps of the split", pool.submit(map_costs, args.root, args.split).result())
    return 0


class Copies(NamedTuple):
    """Copies that were written: file of the split, numbers of scenes, logs and records; and how they are evaluated."""

    split: Path
    scenes: int
    logs: int
    records: int
    traffic: str
    two_stage: bool


def _copied(args: argparse.Namespace, root: Path) -> Copies:
    """Write the copies."""
    folders, split = navsim_folders(args.root), read_split(args.split)
    if split.mapping:
        sizes, traffic = Sizes(args.groups, args.logs or GROUP_LOGS, args.pairs), args.traffic or TWO_STAGE_TRAFFIC
        written = write_two_stage_copies(folders, split, root, sizes)
        return Copies(written, sizes.scenes, sizes.logs, sizes.groups, traffic, two_stage=True)
    scenes, logs = args.scenes, args.logs or LOGS
    records = sum(-(-own // BATCH) for own in scenes_of_logs(scenes, logs))
    written = write_copies(folders, split, root, scenes, logs)
    return Copies(written, scenes, logs, records, args.traffic or ONE_STAGE_TRAFFIC, two_stage=False)


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.navsim_scale", description=__doc__)
    parser.add_argument("root", help="data: navsim_logs, maps, sensor_blobs")
    parser.add_argument("split", help="YAML file of a split in one or two stages")
    parser.add_argument("--scenes", type=int, default=SCENES, help="number of scenes of one stage")
    parser.add_argument("--groups", type=int, default=GROUPS, help="number of scene groups of two stages")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="pairs of follow-ups of a scene group")
    parser.add_argument("--logs", type=int, help=f"number of logs that they are in: {LOGS}, or {GROUP_LOGS} of groups")
    parser.add_argument("--planner", default="constant-velocity", help="the planner")
    parser.add_argument("--traffic", help="traffic policy: NAVSIM's of the split by default")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--scratch", type=Path, help="folder for the copies; the system's by default")
    return parser.parse_args(arguments)


def evaluated(root: Path, copies: Copies, out: Path, args: argparse.Namespace) -> tuple[int, list[Moment]]:
    """Run `swerve evaluate`, and trace it; the share that is done is that of the records written."""
    command = [
        str(Path(sys.executable).with_name("swerve")),
        "evaluate",
        f"navsim:{root}",
        str(out),
        "--split",
        str(copies.split),
    ]
    options = ["--planners", args.planner, "--traffic", copies.traffic, "--workers", str(args.workers)]
    return traced([*command, *options], lambda: len(list((out / "job" / "records").glob("*.parquet"))) / copies.records)


def rows(moments: Sequence[Moment], scenes: int, parts: int = 4) -> list[dict[str, Any]]:
    """A row per stage of the run: start, quarters of the scenes, tables."""
    names = ["start", *(f"scenes {part + 1} of {parts}" for part in range(parts)), "tables"]
    found = []
    for one in stages(moments, parts):
        scenes_there = scenes / parts if 0 < one["stage"] <= parts else float("nan")
        rates = {
            "scenes/s": _rate(scenes_there, one["seconds"]),
            "per CPU second": _rate(scenes_there, one["CPU seconds"]),
        }
        found.append({**one, "stage": names[int(one["stage"])], **rates})
    return found


def _rate(count: float, seconds: float) -> float:
    return count / seconds if seconds else float("nan")  # a stage shorter than the time between two looks


def _whole(moments: Sequence[Moment], scenes: int) -> str:
    seconds, computed = moments[-1].seconds, moments[-1].cpu_seconds
    return (
        f"In all {seconds:.0f} s, {scenes / seconds:.1f} scenes/s; {computed:.0f} CPU seconds, "
        f"{scenes / computed:.1f} scenes each; at most {max(one.memory_mib for one in moments):.0f} MiB"
    )


def map_costs(root: str, split: str) -> list[dict[str, Any]]:
    """Seconds and MiB of each map of a split: the first part that is cut, which loads it, and the next."""
    with tempfile.TemporaryDirectory() as folder:  # the first map of a process pays for imports, too
        road_map_of(load_nuplan_map(write_maps(Path(folder)), LOCATION))
    folders, rows = navsim_folders(root), []
    index = index_scenes(folders, read_split(split))
    for location in sorted({address.map_name for address in index.logged.values()}):
        token = next(token for token, address in index.logged.items() if address.map_name == location)
        scene, times, before = index.load(token), [], _resident()
        for _ in range(2):
            start, (x, y, _heading) = time.perf_counter(), scene.current.ego_pose
            nuplan = load_nuplan_map(folders.maps, map_location(location))
            scoring_map(nuplan, np.array([x, y]), REACH, scene.current.roadblock_ids, np.array([x, y, 0.0]))
            times.append(time.perf_counter() - start)
        file = map_file(folders.maps, map_location(location))
        rows.append(
            {
                "map": location,
                "file, MiB": file.stat().st_size / 2**20,
                "first scene, ms": 1e3 * times[0],
                "next scene, ms": 1e3 * times[1],
                "memory, MiB": _resident() - before,
            }
        )
    return rows


def _resident() -> float:
    found = holdings(os.getpid())
    return found[1] if found else float("nan")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
