"""A second implementation of PDM-Closed's rollouts, plain and slow: shapely's index and loops, none of our kernels."""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.ops import substring

from swerve.scenes import ObjectClass

HALF_WIDTH, REAR, FRONT = 1.1485, 1.127, 4.049
LIMITS = ((ObjectClass.VEHICLE, 50), (ObjectClass.PEDESTRIAN, 25), (ObjectClass.BICYCLE, 10))


@dataclass
class Thing:
    """An object or a red light; `speed` is None for a light."""

    shapes: list  # one polygon per forecast, 0.2 s apart
    speed: float | None
    heading: float
    ignored: bool = False


def box(x, y, heading, front, rear, half_width):
    """A rectangle around a pose."""
    cos, sin = math.cos(heading), math.sin(heading)
    corners = ((front, half_width), (-rear, half_width), (-rear, -half_width), (front, -half_width))
    return shapely.Polygon([(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in corners])


def ego_shape(pose):
    """The ego's outline, from the pose of its rear axle."""
    return box(*pose, FRONT, REAR, HALF_WIDTH)


def wrapped(angle):
    return math.atan2(math.sin(angle), math.cos(angle))


def things_around(privileged_input):
    """Static objects, road users by class, each nearest first, then red lights."""
    traffic, ego = privileged_input.traffic, privileged_input.ego
    center = ego[:2] + (FRONT - REAR) / 2 * np.array([math.cos(ego[2]), math.sin(ego[2])])
    apart = [math.hypot(*(pose[:2] - center)) for pose in traffic.poses[0]]
    seen = [row for row in range(len(traffic.ids)) if traffic.present[0, row] and apart[row] <= 100.0]
    movers = [kind for kind, _ in LIMITS]
    rows = sorted((row for row in seen if traffic.classes[row] not in movers), key=apart.__getitem__)[:50]
    for kind, most in LIMITS:
        rows += sorted((row for row in seen if traffic.classes[row] == kind), key=apart.__getitem__)[:most]
    things = [forecast(traffic, row, traffic.classes[row] in movers) for row in rows]
    polygons = privileged_input.lights.polygons
    for light in range(len(privileged_input.lights.lane_ids)):
        if privileged_input.lights.active[0, light]:
            edges = polygons.edges[polygons.starts[light] : polygons.starts[light + 1]]
            things.append(Thing([shapely.Polygon(edges[:, :2])] * 26, None, 0.0))
    outline = ego_shape(ego[:3])
    for thing in things:
        shape = thing.shapes[0]
        thing.ignored = outline.intersects(shape) if thing.speed is not None else outline.within(shape)
    return things


def forecast(traffic, row, moves):
    """An object that keeps its speed along its box's axis, or stands."""
    (x, y, heading), (vx, vy) = traffic.poses[0, row], traffic.velocities[0, row]
    length, width = traffic.sizes[row]
    speed = math.hypot(vx, vy) if moves else 0.0
    way = heading if abs(wrapped(heading - math.atan2(vy, vx))) < math.pi / 2 else heading + math.pi
    reach = [speed * 0.2 * sample for sample in range(26)]
    places = [(x + far * math.cos(way), y + far * math.sin(way)) for far in reach]
    return Thing([box(*place, heading, length / 2, length / 2, width / 2) for place in places], speed, heading)


class Path:
    """A centreline, or a line beside it with the centreline's headings."""

    def __init__(self, centerline, offset):
        line = centerline.copy()
        line[:, 0] += offset * np.cos(centerline[:, 2] + np.pi / 2)
        line[:, 1] += offset * np.sin(centerline[:, 2] + np.pi / 2)
        line[:, 2] = np.unwrap(line[:, 2])
        self.points = line
        self.progress = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1))])
        self.line = shapely.LineString(line[:, :2])

    def pose(self, along):
        along = min(max(along, 1e-5), self.progress[-1])
        x, y, heading = (np.interp(along, self.progress, column) for column in self.points.T)
        return x, y, wrapped(heading)

    def corridor(self, start, end):
        start, end = (min(max(value, 0.0), self.progress[-1]) for value in (start, end))
        inside = self.points[(start <= self.progress) & (self.progress <= end), :2]
        ahead = shapely.LineString(inside) if len(inside) > 1 else substring(self.line, start, end)
        return ahead.buffer(HALF_WIDTH, cap_style="square")


def plain_proposals(privileged_input, choose):
    """World poses (51, 3) of the chosen proposal.

    Args:
        privileged_input: the moment.
        choose: takes the proposals' poses (15, 41, 3) and returns the row of the best.
    """
    things, limit = things_around(privileged_input), privileged_input.speed_limit or 15.0
    trees = [shapely.STRtree([thing.shapes[sample] for thing in things], 10) for sample in range(26)]
    targets = [share * limit for share in (0.2, 0.4, 0.6, 0.8, 1.0)]
    paths = [Path(privileged_input.scoring_map.centerline, offset) for offset in (0.0, -1.0, 1.0)]
    poses, states = [], []
    for path in paths:
        start = path.line.project(shapely.Point(privileged_input.ego[:2]))
        corridor = path.corridor(start, start + abs(max(targets)) * 50 * 0.1)
        group = [[[start, privileged_input.ego[3]], np.zeros(3), [path.pose(start)], target] for target in targets]
        for step in range(1, 41):
            advance(path, corridor, group, things, trees, step)
        states += [(path, corridor, proposal) for proposal in group]
        poses += [proposal[2] for proposal in group]
    path, corridor, best = states[choose(np.array(poses))]
    for step in range(41, 51):
        advance(path, corridor, [best], things, trees, step)
    return np.array(best[2])


def advance(path, corridor, group, things, trees, step):
    """Moves proposals of one path on by 0.1 s; they share the memory of the leader that is written to."""
    if step % 2 == 0:
        sample = step // 2
        met = [things[row] for row in trees[sample].query(corridor, predicate="intersects")]
        met = [(thing, path.line.project(thing.shapes[sample].centroid)) for thing in met if not thing.ignored]
        shared = np.zeros(3)
        for proposal in group:
            write_leader(path, proposal, met, sample, shared)
            proposal[1] = shared.copy()
    for proposal in group:
        (along, speed), (lead, lead_speed, rear), _, target = proposal
        wanted = 1.0 + 1.5 * speed + speed * (speed - lead_speed) / (2 * math.sqrt(1.5 * 3.0))
        gap = max(lead - along - rear, 1.0)
        gain = min(max(1.5 * (1 - (speed / target) ** 10 - (wanted / gap) ** 2), -3.0), 1.5)
        proposal[0] = [along + 0.1 * speed, speed + 0.1 * gain]
        proposal[2].append(path.pose(proposal[0][0]))


def write_leader(path, proposal, met, sample, shared):
    """Writes (arc length, speed, rear length) of what leads, or of the path's end; the rest stays as it was."""
    along, pose = proposal[0][0], proposal[2][-1]
    ahead = [thing for thing, progress in met if progress > along]
    if not ahead:
        shared[0], shared[2] = path.line.length, 2.588
        return
    apart = [ego_shape(pose).distance(thing.shapes[sample]) for thing in ahead]
    nearest = int(np.argmin(apart))
    shared[0] = along + apart[nearest]
    if ahead[nearest].speed is not None:
        shared[1] = ahead[nearest].speed * math.cos(wrapped(ahead[nearest].heading - pose[2]))
