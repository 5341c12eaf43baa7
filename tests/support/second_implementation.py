"""Draws scenes, and compares PDM-Closed and NAVSIM's reactive traffic in them with their second implementations."""

from collections import Counter
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from swerve.eval import build_context, simulate, simulate_navsim_idm
from swerve.eval.context import pdm_closed
from swerve.eval.scoring.trajectories import references_of
from swerve.scenes import LightState, Log, ObjectClass, Scene, SwerveError, Tracks
from tests.support.plain_idm_agents import PathError, plain_agents
from tests.support.plain_pdm_closed import plain_proposals
from tests.support.random_log import STEPS, random_log, random_tracks
from tests.support.town_logs import NUMBERS, town

NEAR = 1e-6  # metres, for the reference
SIMPLIFIED = 1e-3  # metres and m/s, for the agents: the original simplifies their footprints by 1e-5 m, ours does not


def crowded_log(seed: int) -> Log:
    """A random log, with up to four times as many tracks, some of which stand where the ego is."""
    log, random = random_log(seed), np.random.default_rng([seed, 1])
    crowds = [random_tracks(random, log.road_map) for _ in range(int(random.integers(0, 4)))]
    tracks = joined([log.tracks, *crowds, platoon(random, log.road_map)])
    beside = random.uniform(size=len(tracks.ids)) < random.choice([0.0, 0.3])
    shifts = random.normal(size=(len(tracks.ids), 1, 2)) * random.choice([3.0, 10.0])
    positions = tracks.positions.copy()
    positions[beside, :, :2] += (log.ego.positions[15, :2] - positions[:, 15:16, :2] + shifts)[beside]
    return replace(log, tracks=replace(tracks, positions=positions))


def platoon(random, road) -> Tracks:
    """Vehicles one behind the other on a few lanes, most of which move, some of them the wrong way."""
    lanes = [lane for lane in road.lanes if lane.lengths[-1] > 8]
    picked = [lanes[row] for row in random.integers(0, len(lanes), 4)] if lanes else []
    points = np.concatenate([np.zeros((0, 2)), *(lane.centerline[:, :2] for lane in picked)])[::2]
    headings = np.concatenate([np.zeros(0), *(lane.headings for lane in picked)])[::2, None]
    count, speed = len(points), random.choice([-9.0, 0.0, 4.0, 9.0], size=(len(points), 1, 1))
    velocity = speed * np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    positions = points[:, None] + velocity * (np.arange(STEPS)[None, :, None] - 15) * 0.1
    return Tracks(
        tuple(f"p{row}" for row in range(count)),
        np.full(count, ObjectClass.VEHICLE, np.uint8),
        np.concatenate([positions, np.zeros((count, STEPS, 1))], axis=2),
        np.repeat(headings, STEPS, axis=1),
        np.repeat(random.uniform([[3, 1.5, 1.5]], [[6, 2.2, 2.5]], (count, 3))[:, None], STEPS, axis=1),
        np.repeat(velocity, STEPS, axis=1),
        np.ones((count, STEPS), bool),
    )


def crowded_town(seed: int) -> Scene:
    """A moment in a town with vehicles put on random lanes nearby, and more red lights."""
    random = np.random.default_rng([seed, 2])
    log = town(int(random.choice(NUMBERS)))
    now = int(random.integers(15, len(log.times_us) - 51))
    tracks, ego = log.tracks, log.ego.positions[now, :2]
    places = np.concatenate([lane.centerline[:, :2] for lane in log.road_map.lanes])
    ways = np.concatenate([lane.headings for lane in log.road_map.lanes])
    nearby = np.flatnonzero(np.linalg.norm(places - ego, axis=1) < 50)
    rows = np.flatnonzero(tracks.classes == ObjectClass.VEHICLE)
    spots = random.choice(nearby, len(rows))
    positions, headings = tracks.positions.copy(), tracks.headings.copy()
    positions[rows, :, :2] = places[spots][:, None] + random.normal(size=(len(rows), 1, 2)) * random.choice([0.1, 2])
    headings[rows] = ways[spots][:, None] + random.normal(size=(len(rows), 1)) * 0.1
    speed = random.choice([0.0, 3.0, 9.0], size=(len(rows), 1, 1))
    velocities = tracks.velocities.copy()
    velocities[rows] = speed * np.stack([np.cos(headings[rows]), np.sin(headings[rows])], axis=2)
    states = log.lights.states.copy()
    states[random.uniform(size=len(states)) < 0.3] = LightState.RED
    tracks = replace(tracks, positions=positions, headings=headings, velocities=velocities)
    return Scene(replace(log, tracks=tracks, lights=replace(log.lights, states=states)), now, 15, 50)


def joined(crowds: list[Tracks]) -> Tracks:
    """All tracks in one, under new names."""
    columns = ("classes", "positions", "headings", "sizes", "velocities", "valid")
    arrays = {name: np.concatenate([getattr(crowd, name) for crowd in crowds]) for name in columns}
    return Tracks(ids=tuple(f"t{row}" for row in range(len(arrays["valid"]))), **arrays)


def compare(seed: int, scene: Scene | None = None) -> Counter:
    """Counts of what was compared, and, under names that end in "wrong", of what differs.

    Args:
        seed: of the drawn scene, and of the ego's trajectory.
        scene: a crowded random one if None.
    """
    scene, counts = scene or Scene(crowded_log(seed), 15, 15, 50), Counter()
    try:
        context = build_context(scene)
    except SwerveError:
        return Counter({"scenes without a context": 1})
    random = np.random.default_rng([seed, 3])
    compare_reference(context, random, counts)
    length = random.uniform(0, 60) * np.arange(1, 9) / 8
    plan = np.column_stack([length, np.zeros(8), np.zeros(8)])
    states = simulate(context.ego, references_of(plan[None], context.ego[:3], context.start_us))[0]
    compare_agents(context, scene.log.road_map, states, counts)
    return counts


def compare_reference(context, random, counts: Counter) -> None:
    """Compares a proposal drawn at random, and the reference: which one is best is left to the scorer in both."""
    inputs = context.privileged_input
    if not np.ptp(inputs.scoring_map.centerline[:, :2], axis=0).any():
        counts["centrelines without length"] += 1
        return
    for row in (int(random.integers(15)), None):
        judged = pdm_closed._best if row is None else lambda *_, row=row: row
        world = pdm_closed._obstacles(inputs)[1]
        expected = plain_proposals(inputs, lambda poses, judged=judged, world=world: judged(poses, inputs, world))
        with patch.object(pdm_closed, "_best", judged):
            reference = pdm_closed.reference_trajectory(inputs)
        counts["references"] += 1
        counts["references wrong"] += not close(reference, expected, NEAR)


def compare_agents(context, road_map, states, counts: Counter) -> None:
    """Compares which vehicles are there at each step, and their poses and velocities.

    Where the gaps to several leaders are equal but for rounding, any of them is right; such agents are counted.
    """
    traffic = simulate_navsim_idm(context, states)
    try:
        speeds = np.hypot(traffic.velocities[..., 0], traffic.velocities[..., 1])
        expected, rounded = plain_agents(context, road_map, states, speeds)
    except PathError:
        counts["scenes that stop the original's agents"] += 1
        return
    bad = differing(expected, traffic)
    for step, shown in enumerate(expected, start=1):
        counts["agent states"] += len(shown)
        counts["agents' presence wrong"] += len(present(traffic, step) ^ shown.keys())
    counts["agent states wrong"] += len(bad)
    counts["agents wrong"] += len({row for _, row in bad})
    counts["agents"] += len(expected[0])
    counts["agents with a leader that rounding chose"] += len(rounded)


def differing(expected, traffic) -> list[tuple[int, int]]:
    """(step, row) of the vehicles whose pose or velocity differs."""
    return [
        (step, row)
        for step, shown in enumerate(expected, start=1)
        for row in sorted(present(traffic, step) & shown.keys())
        if not close(moved(traffic, step, row), np.array(shown[row])[None], SIMPLIFIED)
    ]


def present(traffic, step) -> set[int]:
    """Rows of the vehicles that are there."""
    return set(np.flatnonzero(traffic.present[step] & (traffic.classes == ObjectClass.VEHICLE)).tolist())


def moved(traffic, step, row):
    """Pose and velocity (1, 5)."""
    return np.concatenate([traffic.poses[step, row], traffic.velocities[step, row]])[None]


def close(poses, expected, limit: float) -> bool:
    """Return whether rows (x, y, heading, ...) are the same, headings up to whole turns."""
    apart = np.abs(poses - expected)
    apart[:, 2] = np.abs(np.sin((poses[:, 2] - expected[:, 2]) / 2))
    return bool((apart <= limit).all())
