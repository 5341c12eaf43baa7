"""Camera images during a rollout: the simulated scene, for planners and for people."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8

from swerve.eval.benchmark.view_renderers import LogRenderer, Snapshot, snapshot_of
from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopScene
from swerve.eval.scoring.thresholds import STEP, STEPS_PER_FRAME
from swerve.eval.traffic.traffic import Traffic
from swerve.scenes import Camera, Tracks, TrafficLights
from swerve.scenes.camera_roles import rig_names
from swerve.scenes.past_frames import as_past_camera, split_past_name
from swerve.scenes.resize import Resize
from swerve.scenes.transforms import inverse
from swerve.scenes.viewpoints.ground import place_on_ground


@dataclass(frozen=True)
class RolloutViews:
    """Renders the viewpoint's cameras during a rollout.

    Attributes:
        renderer: of the log, for any kind of views.
        resize: resizing of the cameras.
    """

    renderer: LogRenderer
    resize: Resize = field(default_factory=Resize)

    def cameras(self, closed_loop_scene: ClosedLoopScene) -> tuple[Camera, ...]:
        """Return the cameras of a scene, at the size of the images."""
        return self.resize.cameras(closed_loop_scene.viewpoint.cameras)

    def images(
        self,
        closed_loop_scene: ClosedLoopScene,
        cameras: Sequence[Camera],
        traffic: Traffic,
        states: Float[np.ndarray, "t 11"],
        step: int,
    ) -> Mapping[str, UInt8[np.ndarray, "_ _ 3"]]:
        """Render RGB images by camera name, at a step of a rollout."""
        images = dict[str, UInt8[np.ndarray, "_ _ 3"]]()
        rig = {camera.name: camera for camera in self.cameras(closed_loop_scene)}
        times = dict[float, list[Camera]]()
        for camera in cameras:
            times.setdefault(0.0 if camera.name in rig else split_past_name(camera.name)[1], []).append(camera)
        for seconds, own in times.items():
            # Past frames are rendered with the cameras of their time, in the ego frame of that time.
            bases = rig_names([split_past_name(camera.name)[0] for camera in own], [*rig.values()]) if seconds else ()
            drawn = [rig[base] for base in bases] or own
            snapshot = past_snapshot(closed_loop_scene, traffic, states, step, seconds)
            rendered = self.renderer.render(snapshot, drawn)
            images |= {camera.name: image for camera, image in zip(own, rendered, strict=True)}
        for image in images.values():
            image.setflags(write=False)
        return {camera.name: images[camera.name] for camera in cameras}

    def placement(
        self, closed_loop_scene: ClosedLoopScene, traffic: Traffic, states: Float[np.ndarray, "t 11"], step: int
    ) -> Callable[..., Camera]:
        """Return the function that places cameras as they stood some time ago, see `declared_cameras`."""
        now = world_from_ego(closed_loop_scene, states, step)

        def place(camera: Camera, seconds: float, name: str) -> Camera:
            then = past_snapshot(closed_loop_scene, traffic, states, step, seconds).world_from_ego
            return as_past_camera(camera, inverse(now) @ then, name)

        return place


def past_snapshot(
    closed_loop_scene: ClosedLoopScene,
    traffic: Traffic,
    states: Float[np.ndarray, "t 11"],
    step: int,
    seconds: float = 0.0,
) -> Snapshot:
    """Return the snapshot so many seconds before a step of a rollout; before its start that of the viewpoint.

    Raises:
        SwerveError: the viewpoint's history is shorter.
    """
    then = step - round(seconds / STEP)
    if then < 0:
        return snapshot_of(closed_loop_scene.viewpoint, -STEP * then)
    pose, tracks = world_from_ego(closed_loop_scene, states, then), tracks_at_step(closed_loop_scene, traffic, then)
    return Snapshot(pose, tracks, lights_at(closed_loop_scene, then), time_at(closed_loop_scene, then))


def world_from_ego(
    closed_loop_scene: ClosedLoopScene, states: Float[np.ndarray, "t 11"], step: int
) -> Float[np.ndarray, "4 4"]:
    """Return the ego's pose at a step: the viewpoint's at the start, then on the map's ground."""
    road_map, viewpoint = closed_loop_scene.viewpoint.scene.log.road_map, closed_loop_scene.viewpoint
    if step == 0 or road_map is None:
        return viewpoint.world_from_ego
    pose: Float[np.ndarray, "4 4"] = place_on_ground(
        road_map.ground, states[step, None, :2], states[step, 2:3], viewpoint.vehicle
    )[0]
    return pose


def tracks_at_step(closed_loop_scene: ClosedLoopScene, traffic: Traffic, step: int) -> Tracks:
    """Return the simulated agents at a step, as tracks with a single step.

    Sizes and heights above the ground are the log's, both at the half second nearest to the step among those in which
    the track is observed.
    """
    log = closed_loop_scene.viewpoint.scene.log
    row_of = {track: row for row, track in enumerate(log.tracks.ids)}
    rows = np.array([row_of[track] for track in traffic.ids], dtype=int)
    seen = log.tracks.select_tracks(rows).at(closed_loop_scene.frames)
    apart = np.abs(np.arange(len(closed_loop_scene.frames)) - step / STEPS_PER_FRAME)
    nearest = np.where(seen.valid, apart, np.inf).argmin(axis=1)
    known, places = seen.positions[np.arange(len(rows)), nearest], traffic.poses[step, :, :2]
    heights = known[:, 2]
    if log.road_map is not None:
        heights = heights + log.road_map.ground.at(places) - log.road_map.ground.at(known[:, :2])
    return Tracks(
        traffic.ids,
        traffic.classes,
        np.column_stack([places, heights])[:, None],
        traffic.poses[step, :, 2:],
        seen.sizes[np.arange(len(rows)), nearest][:, None],
        traffic.velocities[step][:, None],
        traffic.present[step][:, None],
    )


def lights_at(closed_loop_scene: ClosedLoopScene, step: int) -> TrafficLights:
    """Return the traffic lights at a step: as in the scores, a half second's state holds until the next."""
    frame = closed_loop_scene.frames[step // STEPS_PER_FRAME]
    return closed_loop_scene.viewpoint.scene.log.lights.at(slice(int(frame), int(frame) + 1))


def time_at(closed_loop_scene: ClosedLoopScene, step: int) -> int:
    """Return the log's timestamp at a step, microseconds; interpolated linearly between the half seconds used."""
    times = closed_loop_scene.viewpoint.scene.log.times_us[closed_loop_scene.frames]
    return round(float(np.interp(step / STEPS_PER_FRAME, np.arange(len(times)), times)))
