"""Synthetic scenes of the second stage, written as NAVSIM writes them."""

import pickle

import numpy as np

from swerve.data.sources.navsim.synthetic_scenes import NUPLAN_NAMES
from tests.support.navsim_files import LOG, ORIGIN, START_US, camera, classes_of, filled


def synthetic(classes, token="a" * 17, original=f"{11:016x}", **changes):
    """Returns the dict of a synthetic scene whose later moments hold objects of nuPlan's classes."""
    time = filled(classes.TimePoint, time_us=START_US)
    status = filled(classes.TrafficLightStatusData, status=classes.TrafficLightStatusType(2), lane_connector_id=7)
    status.timestamp = time
    center = filled(classes.StateSE2, x=1.0, y=2.0, heading=0.25)
    agent = filled(
        classes.Agent,
        _metadata=filled(classes.SceneObjectMetadata, track_token="walking"),
        _tracked_object_type=classes.TrackedObjectType(1),
        _box=filled(classes.OrientedBox, _center=center, _length=0.6, _width=0.5, _height=1.7),
        _velocity=filled(classes.StateVector2D, _x=1.0, _y=-1.0),
    )
    frames = [
        {
            "token": f"{token}{index}" if index < 3 else token,
            "timestamp": START_US + 500_000 * index,
            "roadblock_ids": ["1"],
            "traffic_lights": [(7, True)],
            "annotations": {
                "boxes": np.zeros((1, 7), np.float32),
                "names": ["vehicle"],
                "velocity_3d": np.zeros((1, 3), np.float32),
                "instance_tokens": ["i"],
                "track_tokens": ["t"],
            },
            "ego_status": {
                "ego_pose": np.array([*ORIGIN[:2], 0.1]),
                "ego_velocity": np.ones(2, np.float32),
                "ego_acceleration": np.zeros(2, np.float32),
                "driving_command": np.array([1, 0, 0, 0]),
                "in_global_frame": True,
            },
            "lidar_path": None,
            "camera_dict": {"cam_f0": camera(f"{token}/CAM_F0/x.jpg"), "cam_l0": {}},
        }
        for index in range(4)
    ]
    metadata = {"log_name": LOG, "scene_token": token, "map_name": "us-ma-boston", "initial_token": token}
    metadata |= {"num_history_frames": 4, "num_future_frames": 0}
    metadata |= {"corresponding_original_scene": original, "corresponding_original_initial_token": original}
    tracks = filled(classes.TrackedObjects, tracked_objects=[agent])
    return {
        "scene_metadata": metadata,
        "frames": frames,
        "extended_traffic_light_data": [filled(classes.TrafficLightStatuses, traffic_lights=[status])] * 8,
        "extended_detections_tracks": [filled(classes.DetectionsTracks, tracked_objects=tracks)] * 8,
        **changes,
    }


def write_synthetic(path, **changes):
    """Writes a synthetic scene's pickle; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with classes_of(NUPLAN_NAMES) as classes:
        for name in ("TrackedObjectType", "TrafficLightStatusType"):
            kind = getattr(classes, name)
            kind.__init__ = lambda self, number: setattr(self, "number", number)
            kind.__reduce__ = lambda self: (type(self), (self.number,))
        path.write_bytes(pickle.dumps(synthetic(classes, token=path.stem, **changes), pickle.HIGHEST_PROTOCOL))
    return path
