"""Viewpoints of logs of their own: the target is the way back to the logged human, where there is one."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from swerve.data.dataset.targets import interpolate_poses_at
from swerve.scenes import Log, Scene, Tracks
from swerve.scenes.viewpoints import LogGeometry, RecoveryOptions, Rejection, Viewpoint
from swerve.scenes.viewpoints.frenet_motion import FrenetTrajectory
from swerve.scenes.viewpoints.way_back import path_offset, way_back


def with_way_back(
    viewpoint: Viewpoint,
    geometry: LogGeometry,
    now: int,
    past: FrenetTrajectory,
    acceleration: float,
    options: RecoveryOptions,
) -> tuple[Viewpoint, Rejection | None]:
    """Return the viewpoint with the way back as its target, or with none and the reason.

    Its parameters get "way_back" (1 or 0), those of the way back with that prefix, and the offsets from the human at
    the same time: "lateral", "longitudinal" (m), "heading" (rad) and "speed_difference" (m/s).

    Args:
        viewpoint: in a log of its own with steps of 0.1 s, which begin or end with those of the other log.
        geometry: of the log.
        now: step of the log at which the viewpoint is.
        past: its last motion, a step of 0.1 s each.
        acceleration: along the heading, m/s2.
        options: bounds of the way back.
    """
    scene, log = viewpoint.scene, geometry.log
    offset = path_offset(geometry, now, past.positions[-1], float(past.headings[-1]))
    speed = float(past.speeds[-1]) - float(geometry.ego_motion.speeds[now])
    numbers = {
        "lateral": offset.lateral,
        "longitudinal": offset.longitudinal,
        "heading": offset.heading,
        "speed_difference": speed,
    }
    there = Scene(log, now, len(past.speeds) - 1, scene.future)
    tracks = viewpoint.tracks.at(slice(scene.history, None))
    found = way_back(there, geometry, past, acceleration, tracks, options)
    if isinstance(found, str):
        parameters = {**viewpoint.parameters, **numbers, "way_back": 0.0}
        return replace(viewpoint, parameters=parameters), Rejection(viewpoint.kind, viewpoint.index, found)
    parameters = {**viewpoint.parameters, **numbers, "way_back": 1.0, **_named(found.parameters, viewpoint.parameters)}
    return replace(viewpoint, target=_regular(viewpoint, there, found.poses), parameters=parameters), None


def rows_of(log: Log, tracks: Tracks) -> np.ndarray:
    """Return the rows of tracks in the log."""
    row_of = {track: row for row, track in enumerate(log.tracks.ids)}
    return np.array([row_of[track] for track in tracks.ids], dtype=int)


def no_target() -> Float[np.ndarray, "0 4 4"]:
    """Return the target of a viewpoint without a way back."""
    return np.zeros((0, 4, 4))


def _named(parameters: dict[str, float], others: dict[str, float]) -> dict[str, float]:
    """Return the parameters of the way back by their names in samples.

    Relaxed bounds keep their names, by which they are counted; the largest share counts.
    """
    return {
        name if name.startswith("relaxed_") else f"way_back_{name}": max(value, others.get(name, value))
        for name, value in parameters.items()
    }


def _regular(viewpoint: Viewpoint, there: Scene, poses: Float[np.ndarray, "f 4 4"]) -> Float[np.ndarray, "f 4 4"]:
    """Return poses at the log's steps at exact multiples of 0.1 s."""
    own, times_us = viewpoint.scene, there.times_us[there.history :]
    wanted_us, known_us = own.times_us[own.history :] - own.times_us[own.history], times_us - times_us[0]
    if np.array_equal(known_us, wanted_us):
        return poses
    known = np.concatenate([viewpoint.world_from_ego[None], poses])
    seconds = np.minimum(wanted_us[1:], known_us[-1]) * 1e-6
    return interpolate_poses_at(times_us, known, times_us[0], seconds)[0]
