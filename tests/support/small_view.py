"""A small 3D view: a straight road, a car ahead that comes nearer, a pedestrian who is there at first."""

import numpy as np

from swerve.scenes import FORWARD, Camera, ObjectClass, Tracks, Vehicle
from swerve.scenes.transforms import pose_from_yaw, rigid_transform
from swerve.viz.scene_view import CameraView3D, ColoredMesh, Curve, Marker3D, Path3D, SceneView3D

STEPS = 5
ROAD = (40, 90, 40)


def small_tracks() -> Tracks:
    """Return two tracks."""
    positions = np.zeros((2, STEPS, 3))
    positions[0, :, 0] = 30.0 - 2.0 * np.arange(STEPS)
    positions[1] = [12.0, 4.0, 0.0]
    positions[..., 2] = 0.9
    valid = np.ones((2, STEPS), bool)
    valid[1, 3:] = False
    velocities = np.zeros((2, STEPS, 2))
    velocities[0, :, 0] = -20.0
    return Tracks(
        ("car", "<b>walker</b>"),
        np.array([ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN], np.uint8),
        positions,
        np.zeros((2, STEPS)),
        np.tile(np.array([[[4.6, 1.9, 1.8]], [[0.6, 0.6, 1.8]]]), (1, STEPS, 1)),
        velocities,
        valid,
    )


def road() -> ColoredMesh:
    """Return a road of two triangles, 8 m wide."""
    corners = np.array([[-30.0, -4, 0], [90, -4, 0], [90, 4, 0], [-30, 4, 0]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return ColoredMesh("map", corners, triangles, np.array([ROAD, ROAD], np.uint8))


def small_view(**changes) -> SceneView3D:
    """Return the view, with other values of some fields."""
    camera = Camera("front", 64, 40, 40.0, 40.0, 32.0, 20.0, rigid_transform(FORWARD, np.array([1.5, 0.0, 1.5])))
    poses = pose_from_yaw(np.column_stack([np.arange(STEPS) * 1.0, np.zeros((STEPS, 2))]), np.zeros(STEPS))
    fields = {
        "title": "A <small> view",
        "text": "Nothing but a road.",
        "times": 0.1 * np.arange(STEPS),
        "world_from_ego": poses,
        "vehicle": Vehicle.pacifica(),
        "tracks": small_tracks(),
        "meshes": (road(),),
        "paths": (
            Path3D("plan", "plans", np.array([[0.0, 0, 0.1], [20, 0, 0.1]]), (92, 214, 163), 0.2, {"score": "0.5"}),
            Path3D("late", "plans", np.array([[0.0, 2, 0.1], [20, 2, 0.1]]), (1, 2, 3), 0.2, {}, (3, 4)),
        ),
        "markers": (
            Marker3D("start", "follow-ups", np.array([8.0, -2, 0.1]), 0.1, np.array([4.0, 2, 0.3]), (200, 1, 1)),
        ),
        "cameras": (CameraView3D(camera, lambda step: np.full((40, 64, 3), 10 * step, np.uint8)),),
        "points": lambda step: np.array([[5.0, 3.0, 1.0], [6.0, 3.0, 2.0]], np.float32) if step < 3 else None,
        "curves": (Curve("score", np.array([1.0, 1.0, np.nan, 0.0, 0.0])),),
        "start": 1,
    }  # fmt: skip
    return SceneView3D(**{**fields, **changes})
