"""A row per kind of source: how to write a small one, what it has, and what it lacks; `test_conformance` checks each.

To add a source, add a row: `docs/sources.md` is compared with the rows.
"""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from swerve.data.export_py123d.write_log import write_123d_log
from swerve.data.sources.registry import open_source
from tests.support import kitti_recording, nuscenes_scene
from tests.support.av2_log import START, SWEEP, write_av2_log, write_sweep
from tests.support.dgp_scene import write_dgp
from tests.support.e2e_records import write_validation
from tests.support.kitti_sequence import write_kitti
from tests.support.navsim_files import LOG as NAVSIM_LOG
from tests.support.navsim_files import SPEED
from tests.support.navsim_files import frame as navsim_frame
from tests.support.navsim_files import write_log as write_navsim
from tests.support.neutral_document import document
from tests.support.nuplan_writer import EAST, LOCATION, NORTH, write_cloud, write_db, write_maps
from tests.support.nuplan_writer import LOG as NUPLAN_LOG
from tests.support.waymo_log import frame as waymo_frame
from tests.support.waymo_log import scenario, write_records

# What a source can have, in the order of the table in docs/sources.md.
HOLDINGS = ("poses", "boxes", "map", "lights", "photographs", "LiDAR")


@dataclass(frozen=True)
class SourceRow:
    """One kind of source, and a small example of it.

    Attributes:
        kind: as in `open_source`.
        title: the data set, for the table.
        has: of `HOLDINGS`, those that the example has; it must have no others.
        hertz: steps a second.
        write: function that writes the example into a folder, and returns what opens it.
        damaged: files, as patterns below the folder, of which each alone is cut in half; none for made sources.
        split: where the split is from: "folder" if folders' names give it, "none" if there is none; else the split that
            the example's own files state.
        cameras: whether the example has a rig, with photographs or without.
        needs: package without which the source cannot be read.
        rigs: whether the source reads the cameras of logs without the rest (`RigSource`).
        example: note of what the example stands for, where a kind has several rows.
    """

    kind: str
    title: str
    has: frozenset[str]
    hertz: float
    write: Callable[[Path], str]
    damaged: tuple[str, ...] = ()
    split: str = "folder"
    cameras: bool = True
    needs: str = ""
    rigs: bool = True
    example: str = ""

    @property
    def name(self) -> str:
        """Name of the row in tests."""
        return f"{self.kind}-{self.example}" if self.example else self.kind


def _town(_: Path) -> str:
    return "town:1"


def _av2(folder: Path) -> str:
    """Write a log whose sweeps see the walker, 5 m to the left and nearer by 1 m at each step."""
    log = write_av2_log(folder / "one", with_calibration=True)
    for image in log.rglob("*.jpg"):
        Image.new("RGB", (1550, 2048)).save(image)
    for step in range(2):
        body = [[10.0 - step, 5.0, height] for height in np.linspace(-0.1, 1.2, 6)]
        write_sweep(log, START + step * SWEEP, np.array(body))
    return f"av2:{folder}"


def _kitti(folder: Path) -> str:
    write_kitti(folder / "seq", count=6)
    return f"kitti:{folder}"


def _kitti_tracking(folder: Path) -> str:
    """Write a sequence whose scan sees the car, 15 m ahead and 2 m to the right in the second frame."""
    kitti_recording.write_tracking(folder)
    seen = np.array([[2.0, 1.6 - height, 14.8, 1.0] for height in np.linspace(0.3, 1.2, 6)])
    points = np.linalg.solve(np.vstack([kitti_recording.RECT_FROM_VELO, [0, 0, 0, 1]]), seen.T).T
    points.astype("<f4").tofile(folder / "velodyne" / "0001" / "000001.bin")
    return f"kitti:{folder}"


def _nuscenes(folder: Path) -> str:
    """Write a scene whose sweep sees the car, 20 m ahead and 3 m to the left, which drives ahead."""
    nuscenes_scene.write_scene(folder, heading=0.0)
    seen = np.array([[20.0, 3.0, height, 1.0] for height in np.linspace(0.3, 1.3, 6)])
    points = np.linalg.solve(nuscenes_scene.LIDAR_MOUNT, seen.T).T
    sweep = folder / "sweeps" / "LIDAR_TOP" / f"{nuscenes_scene.START}.pcd.bin"
    np.hstack([points, np.zeros((6, 1))]).astype("<f4").tofile(sweep)
    return f"nuscenes:{folder}"


def _neutral(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / "log.json.gz", "wt") as stream:
        json.dump(document(), stream)
    return f"neutral:{folder}"


def _navsim(folder: Path) -> str:
    """Write a log that drives along the road of the small nuPlan map."""
    write_maps(folder)
    write_navsim(folder, [_navsim_frame(index) for index in range(6)])
    for index in range(6):
        blobs = folder / "sensor_blobs" / "test" / NAVSIM_LOG
        image, cloud = blobs / "CAM_F0" / f"{index:016x}.jpg", blobs / "MergedPointCloud" / f"{index:016x}.pcd"
        image.parent.mkdir(parents=True, exist_ok=True)
        cloud.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (128, 64)).save(image)
        # The walker, who keeps pace 5 m ahead and 3 m to the right.
        write_cloud(cloud, np.array([[5.0, -3.0, height, 0, 0, 0] for height in np.linspace(-0.2, 0.8, 5)]))
    return f"navsim:{folder}"


def _navsim_frame(index: int) -> dict[str, Any]:
    along = np.array([EAST + 5 + 0.5 * SPEED * index, NORTH + 2, 10.4])
    on_road = {"ego2global_translation": along, "ego2global_rotation": np.array([1.0, 0.0, 0.0, 0.0])}
    on_map = {"map_location": LOCATION, "roadblock_ids": ["31", "33"], "traffic_lights": [(21, True)]}
    frame: dict[str, Any] = navsim_frame(index, **on_road, **on_map)
    return frame


def _nuplan(folder: Path) -> str:
    write_maps(folder)
    write_db(folder)
    for step in range(0, 240, 20):
        for channel, suffix in (("CAM_F0", "jpg"), ("MergedPointCloud", "pcd")):
            path = folder / "sensor_blobs" / NUPLAN_LOG / channel / f"{step}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if suffix == "jpg":
                Image.new("RGB", (320, 240)).save(path)
            else:
                write_cloud(path, np.array([[17.6, y, 0.5, 7, 2, 4] for y in np.linspace(-0.9, 0.9, 5)]))
    return f"nuplan:{folder}"


def _waymo_motion(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "motion.tfrecord", scenario().SerializeToString())
    return f"waymo:{folder}"


def _waymo_perception(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "segment.tfrecord", *(_waymo_record(step) for step in range(4)))
    return f"waymo:{folder}"


def _waymo_record(step: int) -> bytes:
    """Return a frame with a car parked across, which the ego nears by 1 m, and an image of its camera's size."""
    made, stream = waymo_frame(step), BytesIO()
    Image.new("RGB", (1920, 1280)).save(stream, "jpeg")
    made.images[0].image = stream.getvalue()
    made.laser_labels[0].box.center_x = 10.0 - step
    made.laser_labels[0].metadata.speed_x = 0.0
    record: bytes = made.SerializeToString()
    return record


def _wod_e2e(folder: Path) -> str:
    return f"wod_e2e:{write_validation(folder)}"


def _dgp(folder: Path) -> str:
    write_dgp(folder / "000000")
    return f"dgp:{folder}"


def _123d(folder: Path) -> str:
    """Export the nuPlan example, which has everything."""
    source = open_source(_nuplan(folder.parent / f"{folder.name}-nuplan"))
    write_123d_log(folder, source.load(source.names()[0]))
    return f"123d:{folder}"


def holdings(*names: str) -> frozenset[str]:
    """Return a set of holdings."""
    return frozenset(names)


_AV2 = "adcf7d18-0510-35b0-a2fa-b4cea13a6d76"
_EVERYTHING = holdings(*HOLDINGS)
ROWS = (
    SourceRow("town", "generated towns", holdings("poses", "boxes", "map", "lights"), 10, _town, split="train"),
    SourceRow(
        "av2",
        "Argoverse 2 sensor",
        _EVERYTHING - {"lights"},
        10,
        _av2,
        ("one/annotations.feather", "one/city_SE3*.feather", "one/map/log_map*.json", "one/sensors/lidar/*.feather"),
    ),
    SourceRow(
        "123d",
        "123D (py123d)",
        _EVERYTHING,
        10,
        _123d,
        tuple(f"**/{name}.arrow" for name in ("sync", "ego*", "box*", "traffic*", "map", "camera.*", "lidar.*")),
        split="train",
    ),
    SourceRow(
        "dgp", "DDAD (DGP)", _EVERYTHING - {"map", "lights"}, 10, _dgp, ("000000/*.json", "**/LIDAR/0.json", "**/0.npz")
    ),
    SourceRow(
        "kitti",
        "KITTI odometry",
        holdings("poses", "photographs"),
        10,
        _kitti,
        ("seq/calib.txt", "seq/image_l/000003.png"),
    ),
    SourceRow(
        "kitti",
        "KITTI tracking and raw",
        _EVERYTHING - {"map", "lights"},
        10,
        _kitti_tracking,
        ("calib/*.txt", "oxts/*.txt", "label_02/*.txt", "velodyne/0001/*.bin"),
        example="tracking",
    ),
    SourceRow(
        "nuscenes",
        "nuScenes",
        _EVERYTHING - {"lights"},
        10,
        _nuscenes,
        ("v1.0-*/sample.json", "v1.0-*/sample_annotation.json", "maps/expansion/*.json", "sweeps/LIDAR_TOP/*"),
        split="train",
    ),
    SourceRow(
        "navsim",
        "OpenScene (NAVSIM)",
        _EVERYTHING,
        10,
        _navsim,
        ("navsim_logs/test/*.pkl", "**/0000000000000001.pcd"),
        split="test",
        rigs=False,
    ),
    SourceRow(
        "neutral",
        "neutral JSON logs",
        holdings("poses", "boxes", "map", "lights"),
        10,
        _neutral,
        ("*.json.gz",),
        split="none",
        cameras=False,
    ),
    SourceRow("nuplan", "nuPlan", _EVERYTHING, 10, _nuplan, ("**/*.db", "**/map.gpkg", "**/20.pcd"), split="train"),
    SourceRow(
        "waymo",
        "Waymo motion",
        holdings("poses", "boxes", "map", "lights"),
        10,
        _waymo_motion,
        ("motion.tfrecord",),
        cameras=False,
        needs="waymo_open_dataset",
        example="motion",
    ),
    SourceRow(
        "waymo",
        "Waymo perception",
        holdings("poses", "boxes", "photographs"),
        10,
        _waymo_perception,
        ("segment.tfrecord",),
        needs="waymo_open_dataset",
        example="perception",
    ),
    SourceRow(
        "wod_e2e",
        "Waymo end-to-end",
        holdings("photographs"),
        4,
        _wod_e2e,
        ("*00000-of-00002",),
        split="val",
        rigs=False,
    ),
)
# The same checks on real data, where it is to be had: `write` is given the folder of test data.
REAL_ROWS = (
    SourceRow(
        "av2",
        "",
        holdings("poses", "boxes", "map", "LiDAR"),
        10,
        lambda data: f"av2:{data / 'av2' / _AV2}",
        example="real",
    ),
    SourceRow("dgp", "", _EVERYTHING - {"map", "lights"}, 10, lambda data: f"dgp:{data / 'ddad'}", example="real"),
    SourceRow(
        "kitti", "", holdings("poses", "photographs"), 10, lambda data: f"kitti:{data / 'kitti'}", example="real"
    ),
    SourceRow(
        "kitti",
        "",
        _EVERYTHING - {"map", "lights"},
        10,
        lambda data: f"kitti:{data / 'kitti_tracking'}",
        example="tracking-real",
    ),
    SourceRow(
        "waymo",
        "",
        holdings("poses", "boxes", "map"),
        10,
        lambda data: f"waymo:{data / 'waymo' / 'womd_scenario_input.tfrecord'}",
        cameras=False,
        needs="waymo_open_dataset",
        example="motion-real",
    ),
    SourceRow(
        "waymo",
        "",
        holdings("poses", "boxes", "photographs"),
        10,
        lambda data: f"waymo:{data / 'waymo' / 'pvps_data_one_frame.tfrecord'}",
        needs="waymo_open_dataset",
        example="perception-real",
    ),
)


def sources_table() -> str:
    """Return the table of docs/sources.md: a line per row, with what it has and the commands that work on it."""
    head = "| source | data set | Hz | " + " | ".join(HOLDINGS) + " | commands |"
    lines = [head, "|---|---|---|" + "---|" * (len(HOLDINGS) + 1)]
    for row in ROWS:
        marks = " | ".join("yes" if name in row.has else "" for name in HOLDINGS)
        lines.append(f"| `{row.kind}` | {row.title} | {row.hertz:g} | {marks} | {', '.join(commands(row))} |")
    return "\n".join(lines).replace("|  |", "| |").replace("|  |", "| |")


def commands(row: SourceRow) -> tuple[str, ...]:
    """Return the commands that work on logs that have what the row has, if they are long enough."""
    if "poses" not in row.has:
        return ("info", "evaluate", "submit wod")
    found = ["info", "show"]
    if "boxes" in row.has:
        found.append("augment")
    if {"boxes", "map"} <= row.has:
        found += ["build", "drive"]
    if "photographs" in row.has:
        found += ["fit", "probe"]
    return tuple(found)
