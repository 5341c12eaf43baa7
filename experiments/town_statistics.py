"""Statistics of driving in logs: `python -m experiments.town_statistics SOURCE...`.

Sources are those of `swerve`: folders, `town:20`. Each is a column of the table that is printed; the last column gives
published figures, whose references follow. A second table gives how well history and command predict the path
(experiments/path_regression.py).
"""

import sys
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from experiments.lane_matching import LaneMatches, match_lanes
from experiments.path_regression import regression_table
from swerve.data import open_source
from swerve.scenes import Log, ObjectClass, SwerveError
from swerve.scenes.visibility import visible_shares

# Vehicles slower than this stand, m/s; statistics of others are taken every so many seconds.
_STANDS, _EVERY = 0.5, 0.5
# Leaders are looked for this far ahead and to the side, metres; and followers are this fast at least, m/s.
_AHEAD, _BESIDE, _FOLLOWS = 50.0, 1.3, 3.0
_NEAR = 50.0
# Height of the eye, m; boxes of which less is seen are hidden; range of the lidar of nuScenes, m.
_EYE, _HIDDEN, _RANGE = 1.6, 0.2, 70.0
_LEAST = 8  # samples that a standard deviation is taken of

PUBLISHED = {
    "ego: lateral deviation of one vehicle, standard deviation [m]": "about 0.19 (highway, sober) [1]",
    "others: lateral deviation of one vehicle, standard deviation [m]": "about 0.19 (highway, sober) [1]",
    "others: fastest moment above the limit; by a third [% of vehicles]": "50; 5 (free-flow sites) [2]",
    "lane changes per km": "0.23 [3]; 0.5 [4]",
    "lane change, seconds": "6.3 +- 2.0 [3]; 5 to 6 [5]",
    "vehicles seen within 70 m": "20 [7]",
    "pedestrians seen within 70 m": "7 [7]",
    "mean speed while moving: vehicles; pedestrians; cyclists [m/s]": "6.6; 1.3; 4 [7]",
    "followers: time headway, 10/50/90 % [s]": "2 s or more: 75 % of cars [6]",
}
REFERENCES = """\
[1] Verster and Roth 2011, Int. J. Gen. Med. 4, 359-371 (placebo, 95 km/h; the figure is not in the abstract).
[2] Department for Transport, Vehicle speed compliance statistics for Great Britain 2022 (30 mph; a third: 10 mph).
[3] Lee, Olsen and Wierwille 2004, DOT HS 809 702 (8,667 lane changes in 38,542 km).
[4] Knoop et al. 2012, Transportation Research Record 2278 (one per 2 km, motorway).
[5] Toledo and Zohar 2007, Transportation Research Record 1999.
[6] Department for Transport, Vehicle speed compliance statistics for Great Britain 2019.
[7] Caesar et al. 2020, nuScenes, arXiv:1903.11027v5, section 3 and figure 11-SM (boxes per keyframe; moving cars)."""


@dataclass(frozen=True)
class Moving:
    """Vehicles of a log, the ego first, at steps `_EVERY` apart.

    Attributes:
        poses: (x, y, heading).
        speeds: m/s.
        sizes: (length, width).
        valid: whether they are there and known.
        lanes: where each is.
    """

    poses: Float[np.ndarray, "n t 3"]
    speeds: Float[np.ndarray, "n t"]
    sizes: Float[np.ndarray, "n 2"]
    valid: np.ndarray
    lanes: LaneMatches


def moving(log: Log) -> Moving:
    """The vehicles of a log."""
    steps = np.arange(0, len(log.times_us), round(_EVERY / log.step))
    tracks = log.tracks.select_tracks(np.flatnonzero(log.tracks.classes == ObjectClass.VEHICLE)).at(steps)
    heading = log.ego.headings[steps]
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    center = log.ego.positions[steps, :2] + log.vehicle.rear_axle_to_center * forward
    poses = np.concatenate([tracks.positions[..., :2], tracks.headings[..., None]], axis=2)
    poses = np.concatenate([np.concatenate([center, heading[:, None]], axis=1)[None], poses])
    speeds = np.linalg.norm(np.concatenate([log.ego.velocity[None, steps], tracks.velocities]), axis=2)
    sizes = np.concatenate([[log.vehicle.size[:2]], tracks.sizes[:, 0, :2]])
    valid = np.concatenate([np.ones((1, len(steps)), bool), tracks.valid])
    return Moving(poses, speeds, sizes, valid, match_lanes(log.road_map, poses, valid))


def lateral_deviations(cars: Moving, rows: slice) -> Float[np.ndarray, "m"]:
    """Standard deviation of each vehicle's lateral position while it drives outside junctions, metres."""
    drives = cars.valid & (cars.speeds > 2.0) & cars.lanes.on_street
    rows_of = range(len(cars.poses))[rows]
    return np.array([cars.lanes.lateral[row, drives[row]].std() for row in rows_of if drives[row].sum() >= _LEAST])


def offsets(cars: Moving, rows: slice) -> Float[np.ndarray, "m"]:
    """Lateral positions while driving outside junctions, metres left of the centreline."""
    drives = cars.valid & (cars.speeds > 2.0) & cars.lanes.on_street
    return cars.lanes.lateral[rows][drives[rows]]


def lane_changes(cars: Moving) -> tuple[int, float]:
    """Lane changes of all vehicles, and kilometres driven outside junctions."""
    drives = cars.valid & (cars.speeds > 1.0) & cars.lanes.on_street
    return cars.lanes.changes(drives), float((cars.speeds * drives).sum() * _EVERY / 1000.0)


def headways(cars: Moving) -> Float[np.ndarray, "m"]:
    """Seconds from each follower's front to its leader's rear."""
    found = []
    for step in range(cars.poses.shape[1]):
        rows = np.flatnonzero(cars.valid[:, step])
        x, y, heading = cars.poses[rows, step].T
        ahead = np.cos(heading)[:, None] * (x - x[:, None]) + np.sin(heading)[:, None] * (y - y[:, None])
        aside = np.cos(heading)[:, None] * (y - y[:, None]) - np.sin(heading)[:, None] * (x - x[:, None])
        gap = ahead - (cars.sizes[rows, 0][:, None] + cars.sizes[rows, 0]) / 2
        same = np.cos(heading[:, None] - heading) > 0.9
        gap = np.where(same & (np.abs(aside) < _BESIDE) & (ahead > 0) & (gap < _AHEAD), gap, np.inf).min(axis=1)
        follows = np.isfinite(gap) & (cars.speeds[rows, step] > _FOLLOWS)
        found.append(np.maximum(gap[follows], 0.0) / cars.speeds[rows, step][follows])
    return np.concatenate([np.zeros(0), *found])


def counts(log: Log) -> dict[str, float]:
    """Agents within `_NEAR` of the ego, on average over the steps; vehicles that stand throughout apart."""
    near = np.linalg.norm(log.tracks.positions[..., :2] - log.ego.positions[:, :2], axis=2) < _NEAR
    there = near & log.tracks.valid
    fastest = np.where(log.tracks.valid, np.linalg.norm(log.tracks.velocities, axis=2), 0.0).max(axis=1, initial=0.0)
    drives = fastest > 1.0
    rows = {
        "moving vehicles": (log.tracks.classes == ObjectClass.VEHICLE) & drives,
        "standing vehicles": (log.tracks.classes == ObjectClass.VEHICLE) & ~drives,
        "pedestrians": log.tracks.classes == ObjectClass.PEDESTRIAN,
        "cyclists": (log.tracks.classes == ObjectClass.BICYCLE) & drives,
    }
    return {f"{name} within 50 m": float(there[chosen].sum(axis=0).mean()) for name, chosen in rows.items()}


def shares_seen(log: Log, reach: float) -> Float[np.ndarray, "n t"]:
    """Share of each track that is seen from above the ego's rear axle, at steps `_EVERY` apart."""
    steps = np.arange(0, len(log.times_us), round(_EVERY / log.step))
    return visible_shares(log.tracks.at(steps), log.ego.positions[steps] + [0.0, 0.0, _EYE], reach)


def visible(log: Log) -> dict[str, float]:
    """Boxes within `_RANGE` of which the ego sees a fifth at least, on average over the steps."""
    seen = shares_seen(log, _RANGE) > _HIDDEN
    classes = {"vehicles": ObjectClass.VEHICLE, "pedestrians": ObjectClass.PEDESTRIAN}
    return {
        f"{name} seen within {_RANGE:.0f} m": float(seen[log.tracks.classes == kind].sum(axis=0).mean())
        for name, kind in classes.items()
    }


def _hidden(logs: list[Log]) -> str:
    """Share of the vehicles and of the pedestrians near the ego of which it sees less than a fifth."""
    counts = np.zeros((2, 2))
    for log in logs:
        steps = np.arange(0, len(log.times_us), round(_EVERY / log.step))
        tracks, hidden = log.tracks.at(steps), shares_seen(log, np.inf) < _HIDDEN
        away = np.linalg.norm(tracks.positions[..., :2] - log.ego.positions[steps, :2], axis=2)
        there = tracks.valid & (away < _NEAR)
        for row, kind in enumerate((ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN)):
            own = there & (log.tracks.classes == kind)[:, None]
            counts[row] += (hidden & own).sum(), own.sum()
    return "; ".join(f"{100 * hidden / max(there, 1):.0f}" for hidden, there in counts)


def _speeds(logs: list[Log]) -> dict[str, str]:
    """Mean speeds of those who move."""
    kinds = ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE
    means = []
    for kind in kinds:
        speeds = [
            np.linalg.norm(log.tracks.velocities, axis=2)[log.tracks.valid & (log.tracks.classes == kind)[:, None]]
            for log in logs
        ]
        moving_ones = np.concatenate(speeds)
        moving_ones = moving_ones[moving_ones > _STANDS]
        means.append(f"{moving_ones.mean():.1f}" if len(moving_ones) else "-")
    return {"mean speed while moving: vehicles; pedestrians; cyclists [m/s]": "; ".join(means)}


def over_limit(log: Log, cars: Moving) -> Float[np.ndarray, "m"]:
    """Others' speed over limit at their fastest moment outside junctions, where above 0.5; empty without limits."""
    if log.road_map is None:
        return np.zeros(0)
    limits = np.array([lane.speed_limit or np.nan for lane in log.road_map.lanes])[cars.lanes.lane]
    ratio = (cars.speeds / limits)[1:]
    steady = (cars.valid & cars.lanes.on_street)[1:]
    best = np.where(steady & np.isfinite(ratio), ratio, -np.inf).max(axis=1, initial=-np.inf)
    return best[best > 0.5]


def describe(logs: list[Log]) -> dict[str, str]:
    """The figures of one source."""
    all_cars = [moving(log) for log in logs]
    ego = [log.ego for log in logs]
    speed = np.concatenate([one.velocity[:, 0] for one in ego])
    rides = np.concatenate([one.acceleration[one.velocity[:, 0] > _STANDS] for one in ego])
    jerk = np.concatenate([np.diff(one.acceleration[:, 0]) / log.step for one, log in zip(ego, logs, strict=True)])
    others = np.concatenate([cars.speeds[1:][cars.valid[1:] & (cars.speeds[1:] > _STANDS)] for cars in all_cars])
    changed, driven = np.sum([lane_changes(cars) for cars in all_cars], axis=0)
    limit = np.concatenate([over_limit(log, cars) for log, cars in zip(logs, all_cars, strict=True)])
    near = [counts(log) for log in logs]
    table = {
        "logs": str(len(logs)),
        "ego: mean offset from the centreline, all / standard deviation [m]": _mean_offsets(all_cars, slice(0, 1)),
        "ego: lateral deviation of one vehicle, standard deviation [m]": _means(all_cars, slice(0, 1)),
        "others: mean offset from the centreline, all / standard deviation [m]": _mean_offsets(
            all_cars, slice(1, None)
        ),
        "others: lateral deviation of one vehicle, standard deviation [m]": _means(all_cars, slice(1, None)),
        "ego: speed, 10/50/90 % [m/s]": _percentiles(speed, (10, 50, 90)),
        "ego: stands [% of time]": f"{100 * np.mean(speed < _STANDS):.0f}",
        "ego: acceleration, 1/50/99 % [m/s2]": _percentiles(rides[:, 0], (1, 50, 99)),
        "ego: lateral acceleration, 50/95/99 % [m/s2]": _percentiles(np.abs(rides[:, 1]), (50, 95, 99)),
        "ego: jerk, root mean square [m/s3]": f"{np.sqrt(np.mean(jerk**2)):.2f}",
        "others: speed while moving, 10/50/90 % [m/s]": _percentiles(others, (10, 50, 90)),
        "others: fastest moment above the limit; by a third [% of vehicles]": _above(limit),
        "lane changes per km": f"{changed / max(driven, 1e-9):.2f} ({changed:.0f} in {driven:.1f} km)",
        "followers: time headway, 10/50/90 % [s]": _percentiles(
            np.concatenate([headways(cars) for cars in all_cars]), (10, 50, 90)
        ),
    }
    seen = [visible(log) for log in logs]
    table |= {name: f"{np.mean([one[name] for one in near]):.1f}" for name in near[0]}
    table |= {name: f"{np.mean([one[name] for one in seen]):.1f}" for name in seen[0]}
    return table | {"hidden from the ego within 50 m [% of vehicles; of pedestrians]": _hidden(logs)} | _speeds(logs)


def _mean_offsets(all_cars: list[Moving], rows: slice) -> str:
    """Mean and standard deviation of the lateral position of all samples."""
    values = np.concatenate([offsets(cars, rows) for cars in all_cars])
    return f"{values.mean():+.2f} / {values.std():.2f}" if len(values) else "-"


def _means(all_cars: list[Moving], rows: slice) -> str:
    """Median over vehicles of the standard deviation of one."""
    values = np.concatenate([lateral_deviations(cars, rows) for cars in all_cars])
    return f"{np.median(values):.2f}" if len(values) else "-"


def _percentiles(values: Float[np.ndarray, "m"], shares: tuple[int, ...]) -> str:
    """Percentiles, or a dash of nothing."""
    return " / ".join(f"{value:.1f}" for value in np.percentile(values, shares)) if len(values) else "-"


def _above(ratio: Float[np.ndarray, "m"]) -> str:
    """Shares above the limit and above four thirds of it."""
    return f"{100 * np.mean(ratio > 1.0):.0f}; {100 * np.mean(ratio > 4 / 3):.0f}" if len(ratio) else "-"


def main(names: list[str]) -> None:
    """Prints both tables."""
    logs = {name: [source.load(log) for log in source.names()] for name in names for source in (open_source(name),)}
    columns = {name: describe(found) for name, found in logs.items()}
    print("| | " + " | ".join(columns) + " | published |\n" + "|---" * (len(columns) + 2) + "|")
    for row in next(iter(columns.values())):
        cells = [column[row] for column in columns.values()]
        print(f"| {row} | " + " | ".join(cells) + f" | {PUBLISHED.get(row, '')} |")
    print(f"\n{REFERENCES}\n\n{regression_table(logs)}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:] or ["town:20"])
    except SwerveError as error:
        sys.exit(str(error))
