"""Evaluate as many NAVSIM scenes as a benchmark has: `python -m experiments.navsim_scale ROOT SPLIT.yaml`.

Copies the logs of a split under new names until there are as many scenes (navtest has 12,146 in 136 logs), runs `swerve
evaluate` on them as a user does, and traces memory, open files and scenes per second. Then, in a process of its own,
measures how long maps take to load, and what they hold. ROOT has what NAVSIM has: navsim_logs, maps, sensor_blobs.
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
from typing import Any

import numpy as np

from benchmarks.measure import report
from experiments.navsim_copies import scenes_of_logs, write_copies
from experiments.process_trace import Moment, holdings, stages, traced
from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.data.sources.navsim.scene_windows import index_scenes
from swerve.data.sources.navsim.scoring_map import scoring_map
from swerve.data.sources.nuplan.nuplan_maps import load_nuplan_map, map_file
from swerve.data.sources.nuplan.nuplan_road_map import road_map_of
from swerve.eval.benchmark.navsim_benchmark import BATCH
from swerve.eval.benchmark.navsim_scenes import map_location
from tests.support.nuplan_writer import LOCATION, write_maps

# Of navtest.
SCENES, LOGS = 12_146, 136
# Metres around a scene that are scored, as evaluation cuts them.
REACH = 600.0


def main(arguments: Sequence[str]) -> int:
    """Measure and report."""
    args = _parsed(arguments)
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        root, start = Path(scratch) / "data", time.perf_counter()
        split = write_copies(navsim_folders(args.root), read_split(args.split), root, args.scenes, args.logs)
        size = sum(file.stat().st_size for file in (root / "navsim_logs").rglob("*.pkl")) / 2**20
        print(f"{args.scenes} scenes in {args.logs} logs, {size:.0f} MiB, in {time.perf_counter() - start:.0f} s")
        code, moments = evaluated(root, split, Path(scratch) / "results", args)
    if code:
        return code
    title = f"{args.scenes} scenes, {args.traffic}, {args.planner}, {args.workers} workers"
    report(f"navsim_scale_{args.traffic}", title, rows(moments, args.scenes), [_whole(moments, args.scenes)])
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        report("navsim_maps", "Maps of the split", pool.submit(map_costs, args.root, args.split).result())
    return 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.navsim_scale", description=__doc__)
    parser.add_argument("root", help="data: navsim_logs, maps, sensor_blobs")
    parser.add_argument("split", help="YAML file of a one-stage split")
    parser.add_argument("--scenes", type=int, default=SCENES, help="number of scenes")
    parser.add_argument("--logs", type=int, default=LOGS, help="number of logs that they are in")
    parser.add_argument("--planner", default="constant-velocity", help="the planner")
    parser.add_argument("--traffic", default="log-replay", help="traffic policy")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--scratch", type=Path, help="folder for the copies; the system's by default")
    return parser.parse_args(arguments)


def evaluated(root: Path, split: Path, out: Path, args: argparse.Namespace) -> tuple[int, list[Moment]]:
    """Run `swerve evaluate`, and trace it; the share that is done is that of the records written."""
    records = sum(-(-scenes // BATCH) for scenes in scenes_of_logs(args.scenes, args.logs))
    command = [
        str(Path(sys.executable).with_name("swerve")),
        "evaluate",
        f"navsim:{root}",
        str(out),
        "--split",
        str(split),
    ]
    options = ["--planners", args.planner, "--traffic", args.traffic, "--workers", str(args.workers)]
    return traced([*command, *options], lambda: len(list((out / "job" / "records").glob("*.parquet"))) / records)


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
