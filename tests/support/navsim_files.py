"""Small NAVSIM data sets, written as OpenScene and NAVSIM write them: pickled logs and synthetic scenes."""

import pickle
import sys
import types
from contextlib import contextmanager
from pathlib import Path

import numpy as np

LOG = "2021.01.01.00.00.00_veh-01_00001_00002"
START_US = 1_600_000_000_000_000
ORIGIN = np.array([664_000.0, 3_998_000.0, 600.0])
# Forward at this speed, m/s, along this heading.
SPEED, HEADING = 4.0, 0.5
LOCATION = "us-nv-las-vegas-strip"


def frame(index, log=LOG, **changes):
    """Returns the dict of one frame; the ego drives straight, one vehicle stands 10 m ahead of where it began."""
    along = SPEED * 0.5 * index
    direction = np.array([np.cos(HEADING), np.sin(HEADING), 0.0])
    quaternion = np.array([np.cos(HEADING / 2), 0.0, 0.0, np.sin(HEADING / 2)])
    return {
        "token": f"{index:016x}",
        "frame_idx": index,
        "timestamp": START_US + 500_000 * index,
        "log_name": log,
        "log_token": "aa",
        "scene_name": "log-0001-scene-0001",
        "scene_token": "bb",
        "map_location": LOCATION,
        "roadblock_ids": ["1", "2"],
        "vehicle_name": "veh-01",
        "can_bus": np.zeros(18),
        "ego2global_translation": ORIGIN + along * direction,
        "ego2global_rotation": quaternion,
        "ego_dynamic_state": [SPEED, 0.0, 0.0, 0.0],
        "traffic_lights": [(7, True), (8, False)],
        "driving_command": np.array([0, 1, 0, 0]),
        "lidar_path": f"{log}/MergedPointCloud/{index:016x}.pcd",
        "cams": {"CAM_F0": camera(f"{log}/CAM_F0/{index:016x}.jpg")},
        "anns": {
            "gt_boxes": np.array([[10.0 - along, 2.0, 0.4, 4.0, 2.0, 1.6, 0.0], [5.0, -3.0, 0.3, 0.6, 0.6, 1.5, 7.0]]),
            "gt_names": np.array(["vehicle", "pedestrian"]),
            "gt_velocity_3d": np.array([[0.0, 0.0, 0.0], [SPEED, 0.0, 0.0]]),
            "instance_tokens": [f"i{index}0", f"i{index}1"],
            "track_tokens": ["standing", "walking"],
        },
        **changes,
    }


def camera(path):
    return {
        "data_path": path,
        "sensor2lidar_rotation": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
        "sensor2lidar_translation": np.array([1.6, 0.0, 1.4]),
        "cam_intrinsic": np.array([[100.0, 0.0, 64.0], [0.0, 100.0, 32.0], [0.0, 0.0, 1.0]]),
        "distortion": np.array([-0.3, 0.1, 0.0, 0.0, 0.0]),
    }


def write_log(root: Path, frames, split="test", log=LOG) -> Path:
    """Writes a log's pickle; returns its path."""
    path = root / "navsim_logs" / split / f"{log}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(frames, pickle.HIGHEST_PROTOCOL))
    return path


def write_split(folder: Path, name="own", mapping=None, **given) -> Path:
    """Writes a split file and its scene filter as NAVSIM has them; returns the split's path."""
    filter_file = folder / "scene_filter" / f"{name}.yaml"
    filter_file.parent.mkdir(parents=True, exist_ok=True)
    values = {"num_history_frames": 4, "num_future_frames": 8, "frame_interval": 1, "has_route": "true"} | given
    lines = ["_target_: navsim.common.dataclasses.SceneFilter", "_convert_: all"]
    for key, value in values.items():
        lines.append(f"{key}: {value}" if not isinstance(value, list) else f"{key}:")
        lines += [f"- '{item}'" for item in value] if isinstance(value, list) else []
    filter_file.write_text("\n".join(lines) + "\n")
    split = folder / f"{name}.yaml"
    told = "" if mapping is None else f"reactive_all_mapping: {mapping!r}\n"
    split.write_text(f"defaults:\n- scene_filter: {name}\ndata_split: test\n{told}")
    return split


@contextmanager
def classes_of(names):
    """Gives classes under other packages' names while the block runs, so that pickles can refer to them."""
    before, made = dict(sys.modules), {}
    for module, name in names:
        parts = module.split(".")
        for count in range(1, len(parts) + 1):
            whole = ".".join(parts[:count])
            sys.modules.setdefault(whole, types.ModuleType(whole))
        made[name] = type(name, (), {"__module__": module})
        setattr(sys.modules[module], name, made[name])
    yield types.SimpleNamespace(**made)
    for module in set(sys.modules) - set(before):
        del sys.modules[module]


def filled(kind, **attributes):
    """Returns an object of a class without calling it."""
    made = kind.__new__(kind)
    made.__dict__.update(attributes)
    return made
