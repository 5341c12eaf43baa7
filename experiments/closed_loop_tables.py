"""Measurements for the tables of docs/closed_loop.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from rich.progress import track

from swerve.data.sources.registry import open_source
from swerve.eval.closed_loop import ClosedLoopOptions, Rollout, build_closed_loop_scene, drive_prepared
from swerve.planners.load_planner import load_planner
from swerve.scenes import ObjectClass, extract_scenes
from swerve.scenes.viewpoints import Viewpoint, build_log_geometry, logged

PLANNERS = {
    "logged driver": "human",
    "IDM on the route": "idm",
    "PDM-Closed": "pdm-closed",
    "constant velocity": "constant-velocity",
    "stationary": "stationary",
}
SOURCE, EVERY, SECONDS, RATE = "town:12", 5.0, 8.0, 2.0
RESAMPLES = 2000
_FAST = 1.0  # m/s
_POLICIES = ("log-replay", "lane-following", "navsim-reactive")
_SIMULATIONS = (("navsim", "epdms"), ("navsim", "nuplan"), ("dynamic", "epdms"), ("dynamic", "nuplan"))


def by_traffic() -> list[str]:
    """Return the table of planners' scores by how the agents drive."""
    base = ClosedLoopOptions(RATE, SECONDS)
    return _table({policy: replace(base, traffic=policy) for policy in _POLICIES}, share_moving=True)


def by_simulation() -> list[str]:
    """Return the table of planners' scores by simulation and scorer, in lane-following traffic."""
    base = ClosedLoopOptions(RATE, SECONDS, "lane-following")
    columns = {f"{one}, {other}": replace(base, simulation=one, scorer=other) for one, other in _SIMULATIONS}
    return _table(columns, share_moving=False)


def _table(columns: Mapping[str, ClosedLoopOptions], share_moving: bool) -> list[str]:
    starts = list(_starts())
    logs = [start.scene.log.name for start in starts]
    rollouts = {name: _driven(starts, options) for name, options in columns.items()}
    title = f"{len(starts)} scenes of {len(set(logs))} towns, {SECONDS:g} s, {RATE:g} plans a second"
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for label in PLANNERS:
        scores = [np.array([rollout.score for rollout in rollouts[name][label]]) for name in columns]
        lines.append(f"| {label} | " + " | ".join(with_interval(values, logs) for values in scores) + " |")
    if share_moving:
        shares = [moving_shares(rollouts[name]["logged driver"]) for name in columns]
        cells = " | ".join(f"{first:.0%}, {last:.0%}" for first, last in shares)
        lines.append(f"| vehicles faster than {_FAST:g} m/s at the start, at the end | {cells} |")
    return [*lines, "", "Means, and 95 % intervals over logs (percentiles of a bootstrap over towns)."]


def _starts() -> Iterator[Viewpoint]:
    source = open_source(SOURCE)
    for name in source.names():
        log = source.load(name)
        geometry = build_log_geometry(log)
        for scene in extract_scenes(log, history=1.5, future=SECONDS, interval=EVERY):
            yield logged(scene, geometry)


def _driven(starts: Sequence[Viewpoint], options: ClosedLoopOptions) -> dict[str, list[Rollout]]:
    planners = {label: load_planner(spec).planner for label, spec in PLANNERS.items()}
    found: dict[str, list[Rollout]] = {label: [] for label in planners}
    for start in track(starts, description=f"{options.traffic}, {options.simulation}, {options.scorer}"):
        scene = build_closed_loop_scene(start, options)
        for label, planner in planners.items():
            found[label].append(drive_prepared(scene, planner))
    return found


def with_interval(scores: Float[np.ndarray, "s"], logs: Sequence[str]) -> str:
    """Return the mean of scores and its 95 % interval when whole logs are drawn again."""
    names, rows = np.unique(np.array(logs), return_inverse=True)
    sums, counts = np.bincount(rows, scores), np.bincount(rows)
    drawn = np.random.Generator(np.random.Philox(key=0)).integers(len(names), size=(RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{scores.mean():.2f} [{low:.2f}, {high:.2f}]"


def moving_shares(rollouts: Sequence[Rollout]) -> tuple[float, float]:
    """Return the shares of vehicles that move faster than 1 m/s at the start and at the end of rollouts."""
    shares = []
    for step in (0, -1):
        fast = here = 0
        for traffic in (rollout.traffic for rollout in rollouts):
            vehicles = traffic.present[step] & (traffic.classes == ObjectClass.VEHICLE)
            here += int(vehicles.sum())
            fast += int((np.hypot(*traffic.velocities[step].T) > _FAST)[vehicles].sum())
        shares.append(fast / max(here, 1))
    return shares[0], shares[1]
