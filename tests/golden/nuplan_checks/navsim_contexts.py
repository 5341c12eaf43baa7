"""Compares scoring contexts of NAVSIM's scenes with the official metric caches (`answers/metric_cache.json.gz`)."""

import numpy as np

from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.eval import build_context
from swerve.eval.benchmark.navsim_benchmark import open_navsim_benchmark
from swerve.eval.context.map_polygons import Layer
from tests.support.nuplan_files import answers_in

# Metres. Official poses are of millions of metres and keep 1e-9 of one.
STATES, REFERENCE = 1e-8, 1e-6
EVERY = 5
# Caches and the splits that they are of.
CACHES = {"cache_one": "oracle_one_stage", "cache_two": "oracle_two_stage"}


def check(folder, root, tally):
    """Compares all caches; nothing where there are none."""
    for caches in answers_in(folder, "metric_cache").values():
        for name, known in caches.items():
            split = read_split(folder / "config" / "train_test_split" / f"{CACHES[name]}.yaml")
            benchmark = open_navsim_benchmark(navsim_folders(str(root)), split)
            for token, cache in known.items():
                _check_context(benchmark, token, cache, tally)


def _check_context(benchmark, token, known, tally):
    origin = benchmark.origin_of(token)
    entry = benchmark.scene(token, origin)
    context = build_context(entry.viewpoint.scene, token, entry.follow_up)
    facts = [context.log, int(entry.follow_up), context.human is None]
    tally.equal("cache: scenes", token, facts, [known["log_name"], known["scene_type"], not known["human_trajectory"]])
    tally.close("cache: start, s", token, context.start_us * 1e-6, known["start_time_s"], 1e-7)
    ego = context.ego[:7] + np.array([*origin, 0.0, 0.0, 0.0, 0.0])
    tally.close("cache: ego state", token, ego, known["ego_state"], STATES)
    if context.human is not None:
        tally.close("cache: human trajectory", token, context.human, known["human_trajectory"], STATES)
    reference = context.reference[::EVERY] + origin
    tally.close("cache: PDM-Closed", token, reference, known["pdm_reference"], REFERENCE)
    centerline = context.scoring_map.centerline + origin
    tally.close("cache: centreline", token, centerline, known["centerline"], STATES)
    tally.equal("cache: route lanes", token, context.route_lanes, known["route_lane_ids"])
    surfaces = context.scoring_map.surfaces
    mine = [[id_, Layer(layer).name] for id_, layer in zip(surfaces.ids, surfaces.layers, strict=True)]
    tally.equal("cache: drivable map, in order", token, mine, known["drivable_map"])
    _check_traffic(context, known, tally)


def _check_traffic(context, known, tally):
    present, active, where = context.traffic.present, context.lights.active, context.token
    lights = {f"red_light_{lane}": np.flatnonzero(active[:, row]) for row, lane in enumerate(context.lights.lane_ids)}
    steps = sorted((name, on.tolist()) for name, on in lights.items())
    tally.equal("cache: steps of red lights", where, steps, sorted(known["red_light_steps"].items()))
    tokens = [track for track, here in zip(context.traffic.ids, present[0], strict=True) if here]
    tokens += [name for name, on in lights.items() if 0 in on]
    tally.equal("cache: tokens now", where, sorted(tokens), sorted(known["tokens_step0"]))
    tally.close("cache: number of tracks", where, present.sum(axis=1), known["num_tracks_per_step"])
