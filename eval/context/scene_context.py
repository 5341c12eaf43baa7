"""The scoring context of a scene: everything that does not depend on the trajectories, computed once."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from swerve.eval.context.map_polygons import Layer, Surfaces, surfaces_around
from swerve.eval.context.pdm_closed import reference_trajectory
from swerve.eval.context.privileged_input import PrivilegedInput
from swerve.eval.context.route import EgoBox, centerline_from, corrected_route, lanes_of, starting_lane
from swerve.eval.scoring.comfort import history_states
from swerve.eval.scoring.sub_scores import ScoringMap
from swerve.eval.scoring.thresholds import (
    AXLE_TO_CENTER,
    FRAMES,
    HALF_LENGTH,
    HALF_WIDTH,
    HISTORY_FRAMES,
    MAP_RADIUS,
    REFERENCE_STEPS,
    STEPS,
    STEPS_PER_FRAME,
)
from swerve.eval.traffic.agent_paths import AgentPaths, assign_lane_graph_paths, assign_navsim_paths
from swerve.eval.traffic.traffic import RedLights, Traffic, frames_of, logged_traffic, red_lights
from swerve.scenes import Log, RoadMap, Scene, SwerveError
from swerve.scenes.compilation import announce_compilation
from swerve.scenes.transforms import relative_poses


@dataclass(frozen=True)
class Context:
    """The scoring context of a scene. World coordinates are the log's.

    Attributes:
        token: name of the scene.
        log: name of its log.
        follow_up: whether it is a second-stage scene; those have no human trajectory.
        start_us: current timestamp.
        ego: current ego state, columns as in simulate.State.
        history: the ego's states every 0.1 s before now, same columns.
        human: the logged trajectory: poses relative to now at 0.5, 1, ..., 4 s; None in follow-up scenes.
        scoring_map: the map around the ego, with the centreline of the route.
        route_lanes: lanes of the corrected route.
        traffic: the log's tracks at 10 Hz.
        long_traffic: the same up to 5 s, or to the end of the log; used by PDMS.
        lights: red lights on the logged route at 10 Hz.
        navsim_paths: paths of vehicles on lanes, for NAVSIM's reactive traffic.
        lane_graph_paths: the same for reactive traffic that follows the lane graph; None where it was left out.
        reference: PDM-Closed's trajectory: world poses at 0, 0.1, ..., 5 s.
        current_traffic: all current tracks.
        current_lights: lights on the corrected route that are red now.
        speed_limit: of the ego's lane, m/s; None where unknown.
    """

    token: str
    log: str
    follow_up: bool
    start_us: int
    ego: Float[np.ndarray, "11"]
    history: Float[np.ndarray, "h 11"]
    human: Float[np.ndarray, "8 3"] | None
    scoring_map: ScoringMap
    route_lanes: tuple[str, ...]
    traffic: Traffic
    long_traffic: Traffic
    lights: RedLights
    navsim_paths: AgentPaths
    lane_graph_paths: AgentPaths | None
    reference: Float[np.ndarray, "51 3"]
    current_traffic: Traffic
    current_lights: RedLights
    speed_limit: float | None

    @property
    def privileged_input(self) -> PrivilegedInput:
        """Return the privileged input of planners; in follow-up scenes without a human."""
        return PrivilegedInput(
            self.ego, self.scoring_map, self.current_traffic, self.current_lights, self.speed_limit, self.human
        )

    @property
    def lane_following_paths(self) -> AgentPaths:
        """Return the paths of lane-following traffic.

        Raises:
            SwerveError: the context was built without them.
        """
        if self.lane_graph_paths is None:
            raise SwerveError(f"scene {self.token}: its context was built without paths of lane-following traffic")
        return self.lane_graph_paths

    @property
    def ego_box(self) -> Float[np.ndarray, "6"]:
        """Return the current ego box, see planar_geometry_kernels."""
        return ego_box_at(self.ego[:3])


def build_context(
    scene: Scene,
    token: str | None = None,
    follow_up: bool = False,
    steps: int = STEPS,
    radius: float = MAP_RADIUS,
    traffic_seed: int = 0,
    lane_following: bool = True,
) -> Context:
    """Build the context of a scene.

    Args:
        scene: needs 1.5 s of history, 4 s (or `steps`) of future, a map with lane groups, and a route.
        token: its name; the scene's own if None.
        follow_up: whether it is a second-stage scene.
        steps: of the traffic, the lights and the agents' paths: 41, or for rollouts 5 n + 1 of them, n at least 8.
        radius: of the map around the ego, metres. NAVSIM uses 100.
        traffic_seed: of the lanes that lane-following vehicles choose at forks beyond the log.
        lane_following: whether lane-following traffic may be asked for; its paths take most of the time on large maps.

    Raises:
        SwerveError: the scene lacks one of these.
    """
    announce_compilation()
    token = token or scene.token
    past, future = frames_of(scene, 1, 1 - HISTORY_FRAMES), frames_of(scene, (steps - 1) // STEPS_PER_FRAME + 1)
    road_map = _require(scene, token, future)
    ego = _ego_state(scene)
    box = ego_box_at(ego[:3])
    place = locate_on_route(scene.log, surfaces_around(road_map, box[:2], radius), ego[:3])
    scoring_map, route_lanes = place.scoring_map, place.route_lanes
    traffic = logged_traffic(scene, future, steps)
    lights = red_lights(scene, future, lanes_of(road_map, scene.log.route), steps)
    current = logged_traffic(scene, future[:1]), red_lights(scene, future[:1], route_lanes)
    privileged_input = PrivilegedInput(ego, scoring_map, *current, place.speed_limit)
    history = scene.log.ego.at(past)
    poses = np.column_stack([history.positions[:, :2], history.headings])
    times = scene.log.times_us[past]
    return Context(
        token=token,
        log=scene.log.name,
        follow_up=follow_up,
        start_us=int(times[-1]),
        ego=ego,
        history=history_states(times, poses, history.acceleration.astype(np.float32).astype(np.float64)),
        human=None if follow_up else _human(scene),
        scoring_map=scoring_map,
        route_lanes=route_lanes,
        traffic=traffic,
        long_traffic=logged_traffic(scene, _longer(scene), REFERENCE_STEPS),
        lights=lights,
        navsim_paths=assign_navsim_paths(road_map, traffic, _seen_now(scene, traffic), box, scene.log.track_order),
        lane_graph_paths=assign_lane_graph_paths(scene, road_map, traffic, future, traffic_seed)
        if lane_following
        else None,
        reference=reference_trajectory(privileged_input),
        current_traffic=current[0],
        current_lights=current[1],
        speed_limit=place.speed_limit,
    )


@dataclass(frozen=True)
class RoutePosition:
    """A pose's position on the route.

    Attributes:
        scoring_map: the map, with the centreline of the route ahead.
        route_lanes: lanes of the corrected route.
        speed_limit: of the ego's lane, m/s; None if unknown.
    """

    scoring_map: ScoringMap
    route_lanes: tuple[str, ...]
    speed_limit: float | None


def locate_on_route(log: Log, surfaces: Surfaces, pose: Float[np.ndarray, "3"]) -> RoutePosition:
    """Locate a pose on the route, and correct the route from there.

    Args:
        log: with a map.
        surfaces: the map around the pose.
        pose: of the rear axle (x, y, heading), world.

    Raises:
        SwerveError: no lane group of the log's route is in the map.
    """
    road_map, where = log.road_map, EgoBox(pose, ego_box_at(pose))
    if road_map is None:
        raise SwerveError(f"log {log.name} has no map")
    route = corrected_route(road_map, log.route, where)
    lanes = lanes_of(road_map, route)
    if not lanes:
        raise SwerveError(f"log {log.name}: no lane group of the route is in the map")
    start = starting_lane(road_map, lanes, surfaces.ids, where)
    on_route = np.isin(surfaces.ids, lanes) & np.isin(surfaces.layers, (Layer.LANE, Layer.LANE_CONNECTOR))
    scoring_map = ScoringMap(surfaces, on_route, centerline_from(road_map, start, route, lanes))
    return RoutePosition(scoring_map, lanes, start.speed_limit)


def _longer(scene: Scene) -> Int[np.ndarray, "f"]:
    """Return the log's steps at 0, 0.5, ..., 5 s from now, up to its end."""
    frames = frames_of(scene, FRAMES + 2)
    return frames[frames < len(scene.log.times_us)]


def _seen_now(scene: Scene, traffic: Traffic) -> Bool[np.ndarray, "m"]:
    tracks = scene.log.tracks
    now = {track for track, valid in zip(tracks.ids, tracks.valid[:, scene.now], strict=True) if valid}
    return np.array([track in now for track in traffic.ids], dtype=bool)


def ego_box_at(pose: Float[np.ndarray, "3"]) -> Float[np.ndarray, "6"]:
    """Return the box of the scored vehicle with the rear axle at the pose (x, y, heading)."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    center = (pose[0] + AXLE_TO_CENTER * cos, pose[1] + AXLE_TO_CENTER * sin)
    return np.array([*center, cos, sin, HALF_LENGTH, HALF_WIDTH])


def _require(scene: Scene, token: str, future: Int[np.ndarray, "f"]) -> RoadMap:
    """Return the scene's map after checking its window.

    Raises:
        SwerveError: the scene cannot be scored.
    """
    where, steps = f"scene {token} of log {scene.log.name}", len(scene.log.times_us)
    first, last = frames_of(scene, 1, 1 - HISTORY_FRAMES)[0], future[-1]
    if first < 0 or last >= steps:
        seconds = f"1.5 s before now and {0.5 * (len(future) - 1):g} s after it"
        raise SwerveError(f"{where}: needs {seconds}, steps {first}..{last}; the log has 0..{steps - 1}")
    if scene.log.road_map is None or not scene.log.road_map.lane_groups:
        raise SwerveError(f"{where}: scoring needs a map with lane groups, this log has none")
    return scene.log.road_map


def _ego_state(scene: Scene) -> Float[np.ndarray, "11"]:
    """Return the ego state as NAVSIM has it: velocity and acceleration as float32, no steering, no yaw rate."""
    ego, now = scene.log.ego, scene.now
    state = np.zeros(11)
    state[:2], state[2] = ego.positions[now, :2], ego.headings[now]
    state[3:5], state[5:7] = ego.velocity[now].astype(np.float32), ego.acceleration[now].astype(np.float32)
    return state


def _human(scene: Scene) -> Float[np.ndarray, "8 3"]:
    poses = scene.log.ego.world_from_ego
    return relative_poses(poses[scene.now], poses[frames_of(scene, FRAMES, 1)])
