"""All viewpoints of a scene."""

from collections.abc import Sequence

from swerve.scenes.log import Scene
from swerve.scenes.transforms import wrap_angle
from swerve.scenes.viewpoints.command import LOOK_AHEAD, driving_command
from swerve.scenes.viewpoints.cross_agent import cross_agents
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.recovery import recovery
from swerve.scenes.viewpoints.viewpoint import Rejection, Viewpoint, ViewpointKind
from swerve.scenes.viewpoints.viewpoint_options import ViewpointOptions


def build_viewpoints(
    scene: Scene, kinds: Sequence[ViewpointKind], options: ViewpointOptions, seed: int, geometry: LogGeometry
) -> tuple[list[Viewpoint], list[Rejection]]:
    """Build the scene's viewpoints of the given kinds, and list the rejected ones.

    Args:
        scene: window of the log.
        kinds: LOGGED, RECOVERY, CROSS_AGENT.
        options: options by kind.
        seed: seed of the whole job.
        geometry: of the scene's log, see `build_log_geometry`.

    Raises:
        ValueError: `geometry` is another log's, or a kind needs more than a scene: FOLLOW_UP (`build_benchmark`,
            `augment`) and VISITED (`augment` of recorded drives).
    """
    if geometry.log is not scene.log:
        raise ValueError(f"geometry of log {geometry.log.name} given for a scene of {scene.log.name}")
    used: list[Viewpoint] = []
    rejected: list[Rejection] = []
    for kind in kinds:
        made, failed = _of_kind(scene, kind, options, seed, geometry)
        used += made
        rejected += failed
    return used, rejected


def _of_kind(
    scene: Scene, kind: ViewpointKind, options: ViewpointOptions, seed: int, geometry: LogGeometry
) -> tuple[list[Viewpoint], list[Rejection]]:
    if kind == ViewpointKind.LOGGED:
        return [logged(scene, geometry)], []
    if kind == ViewpointKind.CROSS_AGENT:
        return cross_agents(scene, options.cross_agent, geometry)
    if kind != ViewpointKind.RECOVERY:
        raise ValueError(f"no viewpoints of kind {kind.value} are made from a log's scenes")
    draws = range(options.recovery.samples_per_scene)
    tried = [recovery(scene, index, options.recovery, seed, geometry) for index in draws]
    return [one for one in tried if isinstance(one, Viewpoint)], [one for one in tried if isinstance(one, Rejection)]


def logged(scene: Scene, geometry: LogGeometry) -> Viewpoint:
    """Return the scene as it was recorded; the target is the human's trajectory."""
    log, path = scene.log, geometry.path
    human = log.ego.world_from_ego[scene.now + 1 : scene.now + scene.future + 1]
    along = float(path.arc_lengths[scene.now])
    heading = float(wrap_angle(geometry.ego_motion.headings[scene.now]))
    return Viewpoint(
        scene=scene,
        kind=ViewpointKind.LOGGED,
        index=0,
        ego=scene.ego.at(slice(0, scene.history + 1)),
        target=human,
        human=human,
        vehicle=log.vehicle,
        cameras=log.cameras,
        tracks=scene.tracks,
        command=driving_command(path.ahead(along, LOOK_AHEAD), heading, log.road_map, log.route),
        parameters={},
    )
