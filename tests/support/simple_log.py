"""Log small enough to check by hand: a straight road along x, two lanes each way, all agents visible."""

from dataclasses import replace

import numpy as np

from swerve.scenes import (
    FORWARD,
    Area,
    Camera,
    Ego,
    GroundHeight,
    Lane,
    LaneGroup,
    LaneMarking,
    LightState,
    Log,
    ObjectClass,
    RoadEdge,
    RoadLine,
    RoadMap,
    StopLine,
    Tracks,
    TrafficLights,
    Vehicle,
)
from swerve.scenes.transforms import pose_from_yaw, rigid_transform, rotation_about_z

STEPS, STEP_US = 121, 100_000
LANE_WIDTH, LENGTH = 3.5, 200.0


def simple_log(speed: float = 10.0, slope: float = 0.0) -> Log:
    """Return 12 s at 10 Hz; the ego drives along y = -1.75 at `speed`; the ground rises by `slope` metres per metre."""
    seconds = np.arange(STEPS) * STEP_US * 1e-6
    x = 20.0 + speed * seconds
    poses = pose_from_yaw(np.stack([x, np.full(STEPS, -LANE_WIDTH / 2), slope * x], axis=1), np.zeros(STEPS))
    times = np.arange(STEPS) * STEP_US + 1_000_000_000
    return Log(
        name="simple",
        source="simple",
        times_us=times,
        ego=Ego.from_poses(poses, times),
        vehicle=Vehicle.pacifica(),
        tracks=simple_tracks(seconds, slope),
        lights=simple_lights(slope),
        road_map=simple_map(slope),
        cameras=simple_rig(),
        route=("east",),
        split="train",
    )


def empty_road(speed=10.0, slope=0.0):
    """Return the simple log without agents."""
    return replace(simple_log(speed, slope), tracks=Tracks.empty(STEPS))


def arc_log(speed=8.0, radius=40.0, heading=0.0, start=-1.0, braking=0.0, ramp=1.0):
    """Return a log without map and agents: straight up to time `start`, `ramp` seconds of steering, then a left arc.

    Speed falls by `braking` m/s2.
    """
    fine = np.linspace(0.0, (STEPS - 1) * STEP_US * 1e-6, 12001)
    speeds = np.maximum(speed - braking * fine, 0.0)
    step = np.diff(fine)
    angle = heading + np.concatenate(
        [[0], np.cumsum(step * (speeds * np.clip((fine - start) / ramp, 0.0, 1.0) / radius)[:-1])]
    )
    x = np.concatenate([[0], np.cumsum(step * (speeds * np.cos(angle))[:-1])])
    y = np.concatenate([[0], np.cumsum(step * (speeds * np.sin(angle))[:-1])])
    poses = pose_from_yaw(np.stack([x, y, np.zeros_like(x)], axis=1), angle)[::100]
    log = empty_road()
    return replace(log, ego=Ego.from_poses(poses, log.times_us), road_map=None, route=())


def simple_tracks(seconds, slope) -> Tracks:
    """Return a car ahead at the ego's speed, a faster, an oncoming and a parked one, a pedestrian and a cone."""
    rows = [  # class, x, y, heading, speed, size
        (ObjectClass.VEHICLE, 50.0, -1.75, 0.0, 10.0, (4.6, 1.9, 1.6)),
        (ObjectClass.VEHICLE, 10.0, -5.25, 0.0, 12.0, (4.2, 1.8, 1.5)),
        (ObjectClass.VEHICLE, 180.0, 1.75, np.pi, 9.0, (10.0, 2.5, 3.2)),
        (ObjectClass.VEHICLE, 90.0, -8.3, 0.0, 0.0, (4.5, 1.8, 1.5)),
        (ObjectClass.PEDESTRIAN, 70.0, 9.0, -np.pi / 2, 0.5, (0.6, 0.6, 1.7)),
        (ObjectClass.TRAFFIC_CONE, 60.0, -7.4, 0.0, 0.0, (0.4, 0.4, 0.8)),
    ]
    count, steps = len(rows), len(seconds)
    positions, velocities = np.zeros((count, steps, 3)), np.zeros((count, steps, 2))
    for row, (_, x, y, heading, speed, size) in enumerate(rows):
        direction = np.array([np.cos(heading), np.sin(heading)])
        velocities[row] = speed * direction
        positions[row, :, :2] = [x, y] + seconds[:, None] * speed * direction
        positions[row, :, 2] = slope * positions[row, :, 0] + size[2] / 2
    return Tracks(
        ids=tuple(f"track{row}" for row in range(count)),
        classes=np.array([row[0] for row in rows], np.uint8),
        positions=positions,
        headings=np.repeat(np.array([[row[3]] for row in rows]), steps, axis=1),
        sizes=np.repeat(np.array([[row[5]] for row in rows]), steps, axis=1),
        velocities=velocities,
        valid=np.ones((count, steps), bool),
    )


def simple_lights(slope) -> TrafficLights:
    """Return one head over the ego's lane at x = 150 that faces it: red, yellow, green, unknown in turn."""
    states = np.repeat([LightState.RED, LightState.YELLOW, LightState.GREEN, LightState.UNKNOWN], 31)[None, :STEPS]
    return TrafficLights(
        ("east_left",), np.array([[150.0, -1.75, 5.5 + 150 * slope]]), np.array([np.pi]), states.astype(np.uint8)
    )


def simple_rig() -> tuple[Camera, ...]:
    """Return a front and a back camera, 640x360, 1.6 m up."""
    front = rigid_transform(FORWARD, np.array([1.5, 0.0, 1.6]))
    back = rigid_transform(rotation_about_z(np.pi) @ FORWARD, np.array([-0.8, 0.0, 1.6]))
    return tuple(
        Camera(name, 640, 360, 500.0, 500.0, 320.0, 180.0, pose) for name, pose in (("front", front), ("back", back))
    )


def simple_map(slope) -> RoadMap:
    """Return four lanes, two of them eastbound, with a crossing, a stop line and a walkway."""

    def line(y, x0=0.0, x1=LENGTH, count=21):
        x = np.linspace(x0, x1, count)
        return np.stack([x, np.full(count, y), slope * x], axis=1)

    def lane(name, y, group, reverse=False, **kwargs):
        center, left, right = line(y), line(y + LANE_WIDTH / 2), line(y - LANE_WIDTH / 2)
        polygon = np.concatenate([left, right[::-1]])
        if reverse:
            center, left, right = center[::-1], right[::-1], left[::-1]
        return Lane(name, center, polygon, left, right, group_id=group, speed_limit=13.9, **kwargs)

    def box(name, x0, y0, x1, y1):
        return Area(name, np.array([[x, y, slope * x] for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]))

    lanes = (
        lane("east_left", -1.75, "east", right_neighbor="east_right", left_marking=LaneMarking.DOUBLE_SOLID_YELLOW),
        lane("east_right", -5.25, "east", left_neighbor="east_left", left_marking=LaneMarking.DASHED_WHITE),
        lane(
            "west_left", 1.75, "west", True, right_neighbor="west_right", left_marking=LaneMarking.DOUBLE_SOLID_YELLOW
        ),
        lane("west_right", 5.25, "west", True, left_neighbor="west_left", left_marking=LaneMarking.DASHED_WHITE),
    )
    grid_x = np.linspace(-50, 250, 151)
    return RoadMap(
        lanes=lanes,
        ground=GroundHeight(
            np.repeat((slope * grid_x)[None], 61, axis=0).astype(np.float32), np.array([-50.0, -60.0]), 2.0
        ),
        lane_groups=(
            LaneGroup("east", ("east_left", "east_right"), box("e", 0, -7, LENGTH, 0).polygon),
            LaneGroup("west", ("west_left", "west_right"), box("w", 0, 0, LENGTH, 7).polygon),
        ),
        drivable_areas=(box("road", 0, -10, LENGTH, 7),),
        crosswalks=(box("crossing", 152, -7, 156, 7),),
        walkways=(box("walkway", 0, 7, LENGTH, 10),),
        road_lines=(
            RoadLine("middle", line(0.0), LaneMarking.DOUBLE_SOLID_YELLOW),
            RoadLine("east_divider", line(-3.5), LaneMarking.DASHED_WHITE),
            RoadLine("west_divider", line(3.5), LaneMarking.DASHED_WHITE),
            RoadLine("parking", line(-7.0), LaneMarking.SOLID_WHITE),
        ),
        road_edges=(RoadEdge("south", line(-10.0)), RoadEdge("north", line(7.0))),
        stop_lines=(StopLine("stop", np.array([[150, -7, slope * 150], [150, 0, slope * 150.0]]), ("east_left",)),),
    )
