"""DGP scenes written for tests: a car that drives 1 m a step past a parked car, two cameras, a LiDAR."""

import datetime
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from swerve.scenes import FORWARD
from swerve.scenes.transforms import inverse, pose_from_yaw, rigid_transform

FX, CX, CY, WIDTH, HEIGHT = 60.0, 31.0, 19.0, 64, 40
FIRST_US = 1_561_645_825_002_790
HEADING = 0.5
# Ahead of the ego at the first step, in its frame: centre, and (length, width, height).
BOX_AT, BOX_SIZE = (12.0, 3.3, 0.8), (4.5, 1.9, 1.6)
START = (1000.25, -2000.5, 30.0)
_CLASSES = ("Person", "Truck", "Car")


def source_from_ego(step: float) -> Float[np.ndarray, "4 4"]:
    """Return the ego's pose, 1 m on at each step of 0.1 s."""
    return pose_from_yaw(np.array(START), HEADING) @ rigid_transform(np.eye(3), np.array([step, 0.0, 0.0]))


def mounts() -> dict[str, Float[np.ndarray, "4 4"]]:
    """Return `ego_from_sensor`: the LiDAR turned by 90 degrees, a camera ahead and one to the left."""
    left = pose_from_yaw(np.zeros(3), np.pi / 2)[:3, :3] @ FORWARD
    return {
        "LIDAR": pose_from_yaw(np.array([1.0, 0.0, 1.8]), np.pi / 2),
        "CAMERA_01": rigid_transform(FORWARD, np.array([1.5, 0.0, 1.5])),
        "CAMERA_05": rigid_transform(left, np.array([1.4, 0.3, 1.5])),
    }


def write_dgp(folder: Path, steps: int = 4, tenfold: bool = True) -> Path:
    """Write a scene's folder.

    Args:
        folder: to be made.
        steps: samples; images are taken 10 ms before the sweep of their sample.
        tenfold: whether times are ten times too long, as in DDAD.
    """
    lidar_from_ego = inverse(mounts()["LIDAR"])
    data, samples = [], []
    for step in range(steps):
        box = (
            lidar_from_ego @ inverse(source_from_ego(step)) @ source_from_ego(0) @ pose_from_yaw(np.array(BOX_AT), 0.0)
        )
        _write(folder / f"bounding_box_3d/LIDAR/{step}.json", {"annotations": [_box(box)]})
        sensors = [
            _datum(sensor, step, source_from_ego(step - 0.1 * (sensor != "LIDAR")) @ mount, tenfold)
            for sensor, mount in mounts().items()
        ]
        data += sensors
        samples.append({"calibration_key": "rig", "datum_keys": [datum["key"] for datum in sensors]})
        _write_points(folder / f"point_cloud/LIDAR/{step}.npz", box)
        for sensor in ("CAMERA_01", "CAMERA_05"):
            _write_image(folder / f"rgb/{sensor}/{step}.jpg", step)
    _write(folder / "scene_0123.json", {"data": data, "samples": samples, "ontologies": {"1": "classes"}})
    items = [{"name": name, **({"id": number} if number else {})} for number, name in enumerate(_CLASSES)]
    _write(folder / "ontology/classes.json", {"items": items})
    _write(folder / "calibration/rig.json", _calibration())
    return folder


def edit_json(path: Path, *keys: Any, value: Any) -> None:
    """Replace one value of a JSON file; None removes it."""
    document = place = json.loads(path.read_text())
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    path.write_text(json.dumps(document))


def _calibration() -> dict[str, Any]:
    pinhole = {"fx": FX, "fy": FX, "cx": CX, "cy": CY}
    return {
        "names": list(mounts()),
        "extrinsics": [_pose(mount) for mount in mounts().values()],
        "intrinsics": [{} if sensor == "LIDAR" else pinhole for sensor in mounts()],
    }


def _datum(sensor: str, step: int, pose: Float[np.ndarray, "4 4"], tenfold: bool) -> dict[str, Any]:
    time_us = FIRST_US + 100_000 * step - 10_000 * (sensor != "LIDAR")
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=time_us * (10 if tenfold else 1))
    if sensor == "LIDAR":
        record = {
            "filename": f"point_cloud/LIDAR/{step}.npz",
            "annotations": {"1": f"bounding_box_3d/LIDAR/{step}.json"},
        }
    else:
        record = {"filename": f"rgb/{sensor}/{step}.jpg", "width": WIDTH, "height": HEIGHT}
    kind = "point_cloud" if sensor == "LIDAR" else "image"
    identity = {"name": sensor, "timestamp": moment.isoformat(timespec="microseconds") + "Z"}
    return {"key": f"{sensor}-{step}", "id": identity, "datum": {kind: {**record, "pose": _pose(pose)}}}


def _box(lidar_from_box: Float[np.ndarray, "4 4"]) -> dict[str, Any]:
    size = dict(zip(("length", "width", "height"), BOX_SIZE, strict=True))
    return {"class_id": 2, "instance_id": 77, "box": {**size, "pose": _pose(lidar_from_box)}}


def _pose(matrix: Float[np.ndarray, "4 4"]) -> dict[str, Any]:
    """Write a pose; numbers that are zero are left out, as protobuf's JSON does."""
    values, vectors = np.linalg.eigh(_quaternion_form(matrix[:3, :3]))
    quaternion = vectors[:, int(np.argmax(values))]
    rotation = {
        name: float(number) for name, number in zip(("qw", "qx", "qy", "qz"), quaternion, strict=True) if number
    }
    translation = {axis: float(number) for axis, number in zip("xyz", matrix[:3, 3], strict=True) if number}
    return {"rotation": rotation, "translation": translation}


def _quaternion_form(r: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "4 4"]:
    """Return the symmetric matrix whose greatest eigenvector is the rotation's quaternion (Bar-Itzhack 2000)."""
    form = np.empty((4, 4))
    form[1:, 1:] = r + r.T - np.trace(r) * np.eye(3)
    form[0, 1:] = form[1:, 0] = [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]]
    form[0, 0] = np.trace(r)
    return form


def _write_points(path: Path, lidar_from_box: Float[np.ndarray, "4 4"]) -> None:
    """Write points on the box's faces towards the rear, and on the ground."""
    rng = np.random.Generator(np.random.Philox(0))
    local = np.column_stack([np.full(20, -2.2), rng.uniform(-0.9, 0.9, 20), rng.uniform(-0.7, 0.7, 20)])
    points = local @ lidar_from_box[:3, :3].T + lidar_from_box[:3, 3]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, data=np.column_stack([points, rng.uniform(size=20)]))


def _write_image(path: Path, step: int) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), (40 + 20 * step) % 256, np.uint8)).save(stream, "jpeg")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
