"""Cost of indexing nuScenes' tables: `python -m experiments.nuscenes_index [SCENES]`.

Writes made tables of that many scenes (850 are as large as v1.0-trainval: 2.5 GB), loads a scene, which indexes them,
and loads others. Time, and the greatest memory of the process.
"""

import json
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

from swerve.data import open_source
from tests.support.nuscenes_tables import token

# Rows of a scene: six cameras, five radars and the LiDAR; boxes in 40 key frames.
DATA, BOXES, KEY_FRAMES = 3000, 1400, 40
START, SCENE_US, ROW_US = 1_532_402_927_647_951, 10**8, 6_580
ROTATION = [0.5720320396729045, -0.0016977711610471074, 0.011798001930183783, -0.8201446642457809]


def main(scenes: int) -> None:
    """Write, index, load."""
    logging.basicConfig()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_tables(root / "v1.0-trainval", scenes)
        large = sum(path.stat().st_size for path in (root / "v1.0-trainval").iterdir())
        print(f"{scenes} scenes, {large / 1e9:.2f} GB of tables")
        source = open_source(f"nuscenes:{root}")
        for name in (source.names()[index] for index in (0, scenes // 2, scenes - 1)):
            wall, cpu = time.perf_counter(), time.process_time()
            source.load(name)
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            spent = time.perf_counter() - wall, time.process_time() - cpu
            print(f"{name}: {spent[0]:.1f} s, {spent[1]:.1f} CPU seconds, {used:.0f} MiB")
        kept = sum(path.stat().st_size for path in (root / "v1.0-trainval" / ".swerve_index").glob("*"))
        print(f"index: {kept / 1e6:.0f} MB")


def write_tables(folder: Path, scenes: int) -> None:
    """Write the tables that a reader needs, the large ones row by row."""
    folder.mkdir(parents=True)
    write(folder / "scene.json", (scene_row(scene) for scene in range(scenes)))
    write(folder / "sample.json", (sample_row(*one) for one in product(range(scenes), range(KEY_FRAMES))))
    write(folder / "sample_data.json", (data_row(*one) for one in product(range(scenes), range(DATA))))
    write(folder / "ego_pose.json", (pose_row(*one) for one in product(range(scenes), range(DATA))))
    write(folder / "sample_annotation.json", (box_row(*one) for one in product(range(scenes), range(BOXES))))
    write(folder / "log.json", [{"token": token("log"), "location": "singapore-onenorth"}])
    write(folder / "sensor.json", [{"token": token("sensor"), "channel": "CAM_FRONT", "modality": "camera"}])
    mount = {"translation": [1.7, 0.0, 1.5], "rotation": [0.5, -0.5, 0.5, -0.5]}
    matrix = [[1266.4, 0.0, 816.3], [0.0, 1266.4, 491.5], [0.0, 0.0, 1.0]]
    calibrated = {"token": token("calibrated"), "sensor_token": token("sensor"), **mount, "camera_intrinsic": matrix}
    write(folder / "calibrated_sensor.json", [calibrated])
    instances = product(range(scenes), range(BOXES // KEY_FRAMES))
    write(folder / "instance.json", ({"token": token("i", *one), "category_token": token("car")} for one in instances))
    write(folder / "category.json", [{"token": token("car"), "name": "vehicle.car"}])


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write a table as the data set has it: a line for each field."""
    with open(path, "w") as stream:
        for index, row in enumerate(rows):
            stream.write((",\n" if index else "[\n") + json.dumps(row, indent=0))
        stream.write("\n]")


def scene_row(scene: int) -> dict[str, Any]:
    return {"token": token("scene", scene), "name": f"scene-{scene + 1:04d}", "log_token": token("log")}


def sample_row(scene: int, row: int) -> dict[str, Any]:
    time_us = START + scene * SCENE_US + row * 500_000
    return {"token": token("s", scene, row), "timestamp": time_us, "scene_token": token("scene", scene)}


def data_row(scene: int, row: int) -> dict[str, Any]:
    time_us = START + scene * SCENE_US + row * ROW_US
    return {
        "token": token("d", scene, row),
        "sample_token": token("s", scene, row * KEY_FRAMES // DATA),
        "ego_pose_token": token("p", scene, row),
        "calibrated_sensor_token": token("calibrated"),
        "timestamp": time_us,
        "fileformat": "jpg",
        "is_key_frame": False,
        "height": 900,
        "width": 1600,
        "filename": f"sweeps/CAM_FRONT/n015-2018-07-24-11-22-45+0800__CAM_FRONT__{time_us}.jpg",
        "prev": token("d", scene, row - 1),
        "next": token("d", scene, row + 1),
    }


def pose_row(scene: int, row: int) -> dict[str, Any]:
    time_us = START + scene * SCENE_US + row * ROW_US
    place = [411.3039349319818 + 0.05 * row, 1180.8903791765097, 0.0]
    return {"token": token("p", scene, row), "timestamp": time_us, "rotation": ROTATION, "translation": place}


def box_row(scene: int, row: int) -> dict[str, Any]:
    return {
        "token": token("b", scene, row),
        "sample_token": token("s", scene, row % KEY_FRAMES),
        "instance_token": token("i", scene, row // KEY_FRAMES),
        "visibility_token": "1",
        "attribute_tokens": [token("attribute")],
        "translation": [373.214, 1130.48 + row, 1.25],
        "size": [0.621, 0.669, 1.642],
        "rotation": [0.9831098797903927, 0.0, 0.0, -0.18301629506281616],
        "prev": token("b", scene, row - 1),
        "next": token("b", scene, row + 1),
        "num_lidar_pts": 1,
        "num_radar_pts": 0,
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 850)
