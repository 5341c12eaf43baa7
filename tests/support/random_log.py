"""Random, implausible logs for robustness tests."""

import numpy as np

from swerve.scenes import Area, Ego, GroundHeight, Lane, LaneGroup, Log, RoadMap, Tracks, TrafficLights, Vehicle
from swerve.scenes.transforms import pose_from_yaw

STEPS = 66


def random_log(seed: int) -> Log:
    """Generate random lanes (some of length zero), routes, lights, tracks (some seen once), and a discontinuous ego."""
    random = np.random.default_rng(seed)
    times = 10**12 + np.cumsum(random.integers(90_000, 110_000, STEPS))
    position = random.normal(size=3) * [50, 50, 0] + np.cumsum(random.normal(size=(STEPS, 3)) * [1, 1, 0], axis=0)
    poses = pose_from_yaw(position, np.cumsum(random.normal(size=STEPS) * 0.1))
    road = random_map(random, position[15, :2])
    groups = [group.id for group in road.lane_groups]
    return Log(
        name=f"random{seed}",
        source="random",
        times_us=times,
        ego=Ego.from_poses(poses, times),
        vehicle=Vehicle.pacifica(),
        tracks=random_tracks(random, road),
        lights=random_lights(random, road),
        road_map=road,
        cameras=(),
        route=tuple(random.choice(groups, size=random.integers(1, 6))),
    )


def random_tracks(random, road) -> Tracks:
    """Generate tracks, most of them on a lane and facing along it."""
    count = int(random.integers(0, 25))
    picked = [road.lanes[row] for row in random.integers(0, len(road.lanes), count)]
    vertex = [int(random.integers(0, len(lane.centerline) - 1)) for lane in picked]
    steps = [lane.centerline[k + 1] - lane.centerline[k] for lane, k in zip(picked, vertex, strict=True)]
    headings = np.array([np.arctan2(step[1], step[0]) for step in steps]).reshape(-1, 1)
    headings += random.normal(size=(count, 1)) * random.choice([0.0, 0.1, 3.0], size=(count, 1))
    points = [lane.centerline[k, :2] for lane, k in zip(picked, vertex, strict=True)]
    valid = random.uniform(size=(count, STEPS)) < random.choice([0.02, 0.3, 1.0], size=(count, 1))
    start = np.array(points).reshape(-1, 1, 2) + random.normal(size=(count, 1, 2)) * random.choice([0.0, 1.0, 20.0])
    direction = np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    velocity = direction * random.choice([0, 0.04, 3, 12], size=(count, 1, 1))
    positions = start + velocity * np.arange(STEPS)[None, :, None] * 0.1
    sizes = np.repeat(random.uniform(0.3, 12, (count, 1, 3)), STEPS, axis=1)
    return Tracks(
        tuple(f"t{row}" for row in range(count)),
        random.choice([0, 1, 1, 1, 1, 2, 3, 4], count).astype(np.uint8),
        np.concatenate([positions, sizes[..., 2:] / 2], axis=2),
        np.repeat(headings, STEPS, axis=1),
        sizes,
        np.repeat(velocity, STEPS, axis=1),
        valid,
    )


def random_map(random, center) -> RoadMap:
    lanes, groups = [], []
    for row in range(int(random.integers(1, 9))):
        first = len(lanes)
        for _ in range(int(random.integers(1, 4))):
            lanes.append(random_lane(random, center, f"l{len(lanes)}", f"g{row}"))
        ids = tuple(lane.id for lane in lanes[first:])
        groups.append((f"g{row}", ids, bool(row % 2), lanes[first].polygon))
    names = [lane.id for lane in lanes]
    lanes = [
        linked(random, lane, names, dict(zip((g[0] for g in groups), (g[2] for g in groups), strict=True)))
        for lane in lanes
    ]
    ids = [group[0] for group in groups]
    return RoadMap(
        lanes=tuple(lanes),
        lane_groups=tuple(
            LaneGroup(name, members, polygon, connector, some(random, ids), some(random, ids))
            for name, members, connector, polygon in groups
        ),
        intersections=tuple(Area(f"i{k}", ring(random, center)) for k in range(random.integers(0, 3))),
        drivable_areas=tuple(Area(f"d{k}", ring(random, center)) for k in range(random.integers(0, 3))),
        ground=GroundHeight(np.zeros((2, 2), np.float32), center - 500, 1000.0),
        has_height=False,
    )


def random_lane(random, center, name, group) -> Lane:
    count = int(random.integers(2, 12))
    angle = random.uniform(-3.2, 3.2) + np.cumsum(random.normal(size=count) * 0.2)
    length = random.choice([0.0, 0.001, 4.0], p=[0.15, 0.05, 0.8])
    steps = length * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    line = center + random.normal(size=2) * 20 + np.cumsum(steps, axis=0)
    line = np.column_stack([line, np.zeros(count)])
    beside = np.column_stack([-np.sin(angle), np.cos(angle), np.zeros(count)]) * 2
    limit = random.choice([None, 0.0, 8.0])
    return Lane(name, line, np.concatenate([line + beside, (line - beside)[::-1]]), group_id=group, speed_limit=limit)


def linked(random, lane, names, connectors) -> Lane:
    return Lane(
        lane.id,
        lane.centerline,
        lane.polygon,
        group_id=lane.group_id,
        is_connector=connectors[lane.group_id],
        successors=some(random, names),
        predecessors=some(random, names),
        speed_limit=lane.speed_limit,
    )


def some(random, names) -> tuple[str, ...]:
    return tuple(random.choice(names, size=random.integers(0, 3)))


def ring(random, center):
    angle = np.sort(random.uniform(0, 6.28, int(random.integers(3, 12))))
    points = center + random.uniform(1, 60, (len(angle), 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.column_stack([points, np.zeros(len(angle))])


def random_lights(random, road) -> TrafficLights:
    count = int(random.integers(0, 6))
    ids = tuple(random.choice([lane.id for lane in road.lanes], size=count))
    states = random.integers(0, 4, (count, STEPS)).astype(np.uint8)
    return TrafficLights(ids, np.zeros((count, 3)), np.zeros(count), states)
