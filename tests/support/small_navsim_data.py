"""Small NAVSIM data sets on disk: a car that drives straight past nothing, with grey images."""

import pickle
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

CAMERAS = ("CAM_F0", "CAM_L0", "CAM_L1", "CAM_L2", "CAM_R0", "CAM_R1", "CAM_R2", "CAM_B0")
SPEED = 6.0
LOG = "2021.01.01.00.00.00_veh-01_00001_00002"


def token_of(index: int) -> str:
    """Return the token of a logged frame."""
    return f"{index:016x}"


def follow_up_of(index: int) -> str:
    """Return the token of a second-stage frame, which has a digit more."""
    return f"{index:017x}"


def frame(index: int, token: str, scene_token: str, images: Path, **changed) -> dict:
    """Return a frame as OpenScene stores it, and write its images: grey is 10 times the last digit of its index."""
    content = {
        "token": token,
        "frame_idx": index,
        "timestamp": 1_600_000_000_000_000 + 500_000 * index,
        "log_name": LOG,
        "scene_token": scene_token,
        "map_location": "us-ma-boston",
        "roadblock_ids": ["1", "2"],
        "traffic_lights": [],
        "ego2global_translation": [1000.0 + 0.5 * SPEED * index, 2000.0, 3.0],
        "ego2global_rotation": [1.0, 0.0, 0.0, 0.0],
        "ego_dynamic_state": [SPEED, 0.0, 0.25, 0.0],
        "driving_command": np.array([0, 1, 0, 0]),
        "lidar_path": None,
        "cams": {name: _camera(name, token, index, images) for name in CAMERAS},
    }
    return {**content, **changed}


def _camera(name: str, token: str, index: int, images: Path) -> dict:
    path = Path(LOG, name, f"{token}.jpg")
    (images / path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 16, 3), 10 * (index % 10), np.uint8)).save(images / path, quality=100)
    towards = np.deg2rad({"F": 0, "L": 60, "R": -60, "B": 180}[name[4]])
    ahead, left = np.array([np.cos(towards), np.sin(towards), 0]), np.array([-np.sin(towards), np.cos(towards), 0])
    return {
        "data_path": str(path),
        "sensor2lidar_rotation": np.stack([-left, [0, 0, -1], ahead], axis=1),
        "sensor2lidar_translation": np.array([1.5, 0.0, 1.2]),
        "cam_intrinsic": np.array([[20.0, 0, 8], [0, 20, 4], [0, 0, 1]]),
        "distortion": np.zeros(5),
    }


def one_stage(root: Path, frames: int = 20, tokens: int = 3) -> Path:
    """Write a log and a split of its first scenes; return the split file."""
    images = root / "sensor_blobs/test"
    annotations = {
        "gt_boxes": np.zeros((0, 7)),
        "gt_names": np.zeros(0, "<U9"),
        "gt_velocity_3d": np.zeros((0, 3)),
        "instance_tokens": [],
        "track_tokens": [],
    }
    content = [frame(index, token_of(index), "scene", images, anns=annotations) for index in range(frames)]
    _dump(root / f"navsim_logs/test/{LOG}.pkl", content)
    return write_split(root, "small", "test", [token_of(3 + index) for index in range(tokens)])


def hidden(root: Path) -> Path:
    """Write a hidden test: two runs of five frames in a log, two of the second stage; return the split file."""
    images = root / "sensor_blobs/private_test_hard"
    runs = [[frame(10 * run + i, token_of(10 * run + i), f"run{run}", images) for i in range(5)] for run in range(2)]
    short = [frame(30, token_of(30), "short", images)]
    mixed = [*runs[1][::-1], *runs[0], *short]
    _dump(root / "navsim_logs/private_test_hard/private_test_hard.pkl", [_without_lidar(one) for one in mixed])
    second = root / "private_test_hard_two_stage"
    for run in range(2):
        later = [
            frame(i, follow_up_of(100 * run + i), f"later{run}", second / "sensor_blobs", map_location=None)
            for i in range(5)
        ]
        _dump(second / f"openscene_meta_datas/{follow_up_of(100 * run)}.pkl", [_without_lidar(one) for one in later])
    first = [token_of(10 * run + i) for run in range(2) for i in (3, 4)]
    followers = [follow_up_of(100 * run + i) for run in range(2) for i in (3, 4)]
    return write_split(root, "private_test_hard_two_stage", "private_test_hard", first, followers)


def _without_lidar(content: dict) -> dict:
    return {key: value for key, value in content.items() if key != "lidar_path"}


def write_split(root: Path, name: str, data_split: str, tokens: list[str], second: list[str] | None = None) -> Path:
    """Write a split file and its scene filter; return the split file."""
    folder = root / "splits"
    (folder / "scene_filter").mkdir(parents=True, exist_ok=True)
    split = {"defaults": [{"scene_filter": name}], "data_split": data_split, "reactive_all_mapping": None}
    given = {"num_history_frames": 4, "num_future_frames": 8, "frame_interval": 1, "has_route": True, "tokens": tokens}
    if second is not None:
        given |= {"include_synthetic_scenes": True, "reactive_synthetic_initial_tokens": second}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(split))
    (folder / "scene_filter" / f"{name}.yaml").write_text(yaml.safe_dump(given))
    return folder / f"{name}.yaml"


def _dump(path: Path, content: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))
