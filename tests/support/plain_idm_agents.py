"""A second implementation of NAVSIM's reactive traffic, plain and slow: shapely's index, none of our kernels."""

import math

import numpy as np
import shapely

from swerve.scenes import ObjectClass
from tests.support.plain_pdm_closed import box as rectangle
from tests.support.plain_pdm_closed import ego_shape, wrapped

OUTLINE = 1e-6  # metres: what is nearer to an outline lies on it
AT_END = 1e-9  # metres: rounding decides in the original whether what is nearer to a path's end is at the end
TIE = 1e-6  # metres, radians: of what differs by less, rounding chooses in the original


class PathError(Exception):
    """A lane gives no path of two points or more, or an agent is off its own way: the original stops here."""


class Agent:
    """A vehicle that follows the line of one lane."""

    def __init__(self, lane, along, speed, target, size, shape):
        xy, heading = lane.centerline[:, :2], lane.headings
        progress = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(xy, axis=0), axis=1))])
        kept = [k for k, gap in enumerate(np.diff(progress)) if not np.isclose(gap, 0.0)]
        if len(kept) < 2:
            raise PathError
        self.progress, self.xy, self.heading = progress[kept], xy[kept], np.unwrap(heading[kept])
        self.along, self.speed, self.target, self.length, self.width = along, speed, target, *size
        self.footprint = shape

    def limited(self, along):
        return max(self.progress[0], min(along, self.progress[-1]))

    def at(self, along):
        x, y, heading = (np.interp(along, self.progress, column) for column in (*self.xy.T, self.heading))
        return x, y, wrapped(heading)

    @property
    def pose(self):
        return self.at(self.limited(self.along))

    @property
    def box(self):
        return rectangle(*self.pose, self.length / 2, self.length / 2, self.width / 2)

    def way(self):
        """The strip from here to the path's end; at the end that of the last segment."""
        here = self.limited(self.along)
        ahead = self.xy[self.progress > here + AT_END]
        line = [self.at(here)[:2], *ahead] if len(ahead) else self.xy[-2:]
        return self.strip(line)

    def strip(self, line):
        return shapely.LineString(line).buffer(self.width / 2, cap_style="flat")

    def new_footprint(self):
        """The box, and the strip from the rear to 1.5 s ahead of the front."""
        first = self.limited(self.along - self.length / 2)
        last = self.limited(self.along + self.length / 2 + self.speed * 1.5)
        if not (self.progress > first + AT_END).any():
            line = self.xy[-2:]
        elif not (self.progress < last - AT_END).any():
            line = self.xy[:2]
        else:
            between = self.xy[(self.progress > first) & (self.progress < last)]
            line = [self.at(first)[:2], *between, self.at(last)[:2]]
        return simplified(shapely.union_all([self.strip(line), self.box]))

    def drive(self, lead, lead_speed, rear):
        self.along, self.speed = self.along + 0.1 * self.speed, self.next_speed(lead, lead_speed, rear)
        self.footprint = self.new_footprint()

    def next_speed(self, lead, lead_speed, rear):
        wanted = 1.0 + 1.5 * self.speed + self.speed * (self.speed - lead_speed) / (2 * math.sqrt(2.0))
        gain = 1 - (self.speed / self.target) ** 4 - (wanted / max(lead - rear, 1.0)) ** 2
        return max(self.speed + 0.1 * min(max(gain, -2.0), 1.0), 0.0)


def simplified(shape):
    return shape.simplify(1e-5, preserve_topology=True)


def plain_agents(context, road_map, states, preferred=None):
    """By step from 1 to 40: row of the track -> (x, y, heading, vx, vy) of each vehicle.

    Args:
        context: of the scene.
        road_map: of the log.
        states: of the ego, from step 0.
        preferred: (steps, rows) of speeds; among leaders whose gaps are equal but for rounding, the one that gives the
            nearest speed is taken. None for the one that rounding and shapely's index give.

    Returns:
        the steps, and the rows of vehicles for which another leader was taken.

    Raises:
        PathError: the original would have stopped with an error.
    """
    traffic = context.traffic
    rows = np.flatnonzero(context.navsim_paths.current & (traffic.classes == ObjectClass.VEHICLE)).tolist()
    vehicles = sorted(rows, key=lambda row: traffic.ids[row])
    spots = {row: lane_under(road_map, traffic.poses[0, row]) for row in vehicles}
    agents = on_lanes(traffic, spots, context.ego[:3])
    standing = [row for row in vehicles if row not in agents and stands(traffic, row, spots[row], road_map)]
    steps, others = [], set()
    for step, ego in enumerate(states[:40], start=1):
        step_on(agents, ego, None if preferred is None else preferred[step], others)
        shown = {row: (*agent.pose, *along(agent)) for row, agent in agents.items()}
        shapes = [agent.box for agent in agents.values()]
        for row in standing:
            shape = box_of(traffic, row)
            if not any(shape.intersects(other) for other in shapes):
                shapes.append(shape)
                shown[row] = (*traffic.poses[0, row], *traffic.velocities[0, row])
        steps.append(shown)
    return steps, others


def along(agent):
    heading = agent.pose[2]
    return agent.speed * math.cos(heading), agent.speed * math.sin(heading)


def box_of(traffic, row):
    length, width = traffic.sizes[row]
    return rectangle(*traffic.poses[0, row], length / 2, length / 2, width / 2)


def lane_under(road_map, pose):
    """The lane, or in an intersection the connector, of least difference of heading, and its nearest pose."""
    point = shapely.Point(pose[:2])
    plain = [lane for lane in road_map.lanes if not lane.is_connector and holds(lane, point)]
    crossing = any(holds(area, point) for area in road_map.intersections)
    connectors = [lane for lane in road_map.lanes if lane.is_connector and holds(lane, point)] if crossing else []
    spots = [nearest_pose(lane, point) for lane in plain or connectors]
    off = [abs(spot[2][2] - pose[2]) for spot in spots]
    # Connectors that merge end in one line: rounding decides in the original, the order of the map here.
    return next((spot for spot, one in zip(spots, off, strict=True) if one <= min(off) + TIE), None)


def holds(area, point):
    """Return whether a point is inside and not on the outline, where rounding decides in the original."""
    shape = shapely.Polygon(area.polygon[:, :2], [hole[:, :2] for hole in area.holes])
    return shape.contains(point) and shape.boundary.distance(point) > OUTLINE


def nearest_pose(lane, point):
    """(lane, arc length, pose) of the nearest point of a lane's line, headed for the next half metre."""
    line = shapely.LineString(lane.centerline[:, :2])
    progress = line.project(point)
    here, there = line.interpolate(progress), line.interpolate(progress + 0.5)
    if here.equals(there):
        back = line.interpolate(progress - 0.5)
        return lane, progress, (here.x, here.y, math.atan2(here.y - back.y, here.x - back.x))
    return lane, progress, (here.x, here.y, math.atan2(there.y - here.y, there.x - here.x))


def on_lanes(traffic, spots, ego):
    """Vehicles within 3 m of a line that touch neither the ego nor an earlier one, once they are put on the line."""
    agents, taken, target = {}, [ego_shape(ego)], 10.0
    for row, spot in spots.items():
        if spot is None or off_line(traffic, row, spot) > 3.0:
            continue
        lane, progress, pose = spot
        length, width = traffic.sizes[row]
        shape = rectangle(*pose, length / 2, length / 2, width / 2)
        if any(shape.intersects(other) for other in taken):
            continue
        taken.append(shape)
        target = lane.speed_limit or target
        speed = math.hypot(*traffic.velocities[0, row])
        agents[row] = Agent(lane, progress, speed, target, (length, width), simplified(shape))
    return agents


def off_line(traffic, row, spot):
    return math.hypot(spot[2][0] - traffic.poses[0, row, 0], spot[2][1] - traffic.poses[0, row, 1])


def stands(traffic, row, spot, road_map):
    """Return whether a vehicle without a path stays as long as nothing is on its place."""
    point = shapely.Point(traffic.poses[0, row, :2])
    roads = [lane for lane in road_map.lanes if not lane.is_connector] + list(road_map.intersections)
    slow = math.hypot(*traffic.velocities[0, row]) < 0.1
    if slow and not any(holds(road, point) for road in roads):
        return True
    return spot is not None and off_line(traffic, row, spot) > 3.0


def step_on(agents, ego, preferred, rounded):
    """Moves all agents on by 0.1 s, one after the other; the ego's rear axle is taken for its centre."""
    for row in [row for row, agent in agents.items() if math.hypot(*(agent.pose[:2] - ego[:2])) > 100.0]:
        agents.pop(row)
    body = rectangle(*ego[:3], 2.588, 2.588, 1.1485)
    for row, agent in agents.items():
        names = [*agents, "ego"]
        shapes = [*(other.footprint for other in agents.values()), simplified(body)]
        way = agent.way()
        met = [k for k in shapely.STRtree(shapes).query(way) if shapes[k].intersects(way)]
        if row not in [names[k] for k in met]:
            raise PathError
        others = [k for k in met if names[k] != row]
        if not others:
            agent.drive(agent.progress[-1] - agent.along, 0.0, agent.length / 2)
            continue
        lead = others[shapely.STRtree([shapes[k] for k in others]).nearest(agent.footprint)]
        leaders = {k: leader(agent, agents.get(names[k]), shapes[k], ego) for k in others}
        least = min(gap for gap, _ in leaders.values())
        equal = [k for k in others if leaders[k][0] <= least + TIE]
        if preferred is not None and len(equal) > 1:
            speeds = {k: agent.next_speed(*leaders[k], 0.0) for k in equal}
            nearest = min(equal, key=lambda k: abs(speeds[k] - preferred[row]))
            if abs(speeds[nearest] - speeds.get(lead, np.inf)) > TIE:
                rounded.add(row)
            lead = nearest
        agent.drive(*leaders[lead], 0.0)


def leader(agent, other, shape, ego):
    """Gap, and speed along the agent's heading, of another agent or the ego."""
    speed, heading = (math.hypot(ego[3], ego[4]), ego[2]) if other is None else (other.speed, other.pose[2])
    return agent.footprint.distance(shape), speed * math.cos(wrapped(heading - agent.pose[2]))
