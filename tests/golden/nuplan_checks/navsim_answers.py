"""Compares scenes, frames and sensor data with what NAVSIM's loader answered (`answers/navsim.json.gz`)."""

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.frames import relative_to
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.data.sources.navsim.scene_windows import index_scenes
from swerve.data.sources.nuplan.point_cloud import read_point_cloud

POSES = 1e-9  # metres; of positions of millions of metres, whose own digits end there
GREY = 1.0  # decoders of JPEG differ by so much in the mean


def check(folder: Path, root: Path, tally) -> None:
    """Checks every split that the answers have; nothing where there are none.

    Args:
        folder: of archives, `answers` and `config`.
        root: of the unpacked archives.
        tally: takes the comparisons.
    """
    file = folder / "answers" / "navsim.json.gz"
    if not file.is_file():
        return
    with gzip.open(file, "rt") as stream:
        answers = json.load(stream)
    for name, known in answers.items():
        if isinstance(known, dict) and "tokens_stage_one" in known:
            split = read_split(folder / "config" / "train_test_split" / f"{name}.yaml")
            index = index_scenes(navsim_folders(str(root)), split)
            _check_index(name, index, known, tally)
            for scene in known["scenes"]:
                _check_scene(index, scene, tally)


def _check_index(name, index, known, tally):
    tally.equal("navsim: stage-one tokens", name, sorted(index.logged), sorted(known["tokens_stage_one"]))
    tally.equal("navsim: synthetic tokens", name, sorted(index.synthetic), sorted(known["synthetic"]))
    tokens = sorted(index.reactive_stage_two)
    tally.equal("navsim: reactive stage-two tokens", name, tokens, sorted(known["reactive_stage_two"]))
    per_log = index.per_log()
    tally.equal("navsim: logs", name, sorted(per_log), sorted(known["per_log"]))
    for log, tokens in known["per_log"].items():
        tally.equal("navsim: tokens per log", log, sorted(per_log.get(log, ())), sorted(tokens))


def _check_scene(index, known, tally):
    scene, where = index.load(known["token"]), known["token"]
    metadata = {
        "log_name": scene.log_name,
        "scene_token": scene.scene_token,
        "map_name": scene.map_name,
        "initial_token": scene.token,
        "num_history_frames": scene.num_history_frames,
        "num_future_frames": scene.num_future_frames,
        "corresponding_original_scene": scene.original_scene,
        "corresponding_original_initial_token": scene.original_initial_token,
    }
    tally.equal("navsim: metadata", where, sorted(metadata.items()), sorted(known["metadata"].items()))
    facts = [scene.synthetic, scene.map_name, len(scene.frames)]
    tally.equal("navsim: scenes", where, facts, [known["synthetic"], known["map_name"], known["num_frames"]])
    for frame, answer in zip(scene.frames, known["frames"], strict=True):
        _check_frame(frame, answer, index.sensors.of(scene), tally)
    tally.close("navsim: history poses", where, scene.relative_history(), known["history"], POSES)
    if "future" in known:
        steps = len(known["future"])
        tally.close("navsim: future poses", where, scene.relative_future(steps), known["future"], POSES)
    _check_agent_input(scene, known["agent_input"], index.sensors.of(scene), tally)
    if "extended_lights" in known:
        _check_extended(scene, known, tally)


def _check_array(quantity, where, mine, known, tally, tolerance=0.0):
    tally.equal(f"{quantity}, number type", where, [str(mine.dtype)], [known["dtype"]])
    tally.close(quantity, where, mine, np.array(known["data"]).reshape(mine.shape), tolerance)


def _check_frame(frame, known, sensors, tally):
    where = frame.token
    mine = [frame.token, frame.timestamp_us, len(frame.roadblock_ids), len(frame.boxes)]
    facts = [known[key] for key in ("token", "timestamp", "num_roadblocks", "num_boxes")]
    tally.equal("navsim: frames", where, mine, facts)
    lights = known["traffic_lights"]
    if isinstance(lights, int):
        tally.equal("navsim: number of lights", where, [len(frame.traffic_lights)], [lights])
    else:
        tally.equal("navsim: lights", where, frame.traffic_lights, [tuple(light) for light in lights])
    ego = known["ego"]
    for key, value in (
        ("pose", frame.ego_pose),
        ("v", frame.ego_velocity),
        ("a", frame.ego_acceleration),
        ("cmd", frame.driving_command),
    ):
        _check_array(f"navsim: ego {key}", where, value, ego[key], tally)
    if "roadblock_ids" in known:
        tally.equal("navsim: route", where, frame.roadblock_ids, known["roadblock_ids"])
    if "annotations" in known:
        _check_boxes(where, frame.boxes, known["annotations"], tally)
    for name, camera in known.get("cameras", {}).items():
        _check_camera(f"{where} {name}", frame.cameras[name], camera, sensors, tally)
    if known.get("lidar"):
        _check_lidar(where, frame, known["lidar"], sensors, tally)


def _check_boxes(where, boxes, known, tally):
    _check_array("navsim: boxes", where, boxes.boxes, known["boxes"], tally)
    _check_array("navsim: box velocities", where, boxes.velocities, known["velocity_3d"], tally)
    for key in ("names", "instance_tokens", "track_tokens"):
        tally.equal(f"navsim: box {key}", where, getattr(boxes, key), known[key])


def _check_camera(where, camera, known, sensors, tally):
    tally.equal("navsim: image paths", where, [camera.path], [known["path"]])
    for key, value in (
        ("K", camera.intrinsics),
        ("R", camera.sensor2lidar_rotation),
        ("t", camera.sensor2lidar_translation),
        ("dist", camera.distortion),
    ):
        if key in known:
            _check_array(f"navsim: camera {key}", where, value, known[key], tally)
    image = np.asarray(Image.open(sensors / camera.path).convert("RGB"))
    tally.equal("navsim: image shapes", where, [*image.shape, str(image.dtype)], [*known["shape"], known["dtype"]])
    same = hashlib.sha256(image.tobytes()).hexdigest() == known["sha256"]
    tally.close("navsim: images", where, 0.0 if same else image.mean() - known["mean"], 0.0, GREY)


def _check_lidar(where, frame, known, sensors, tally):
    points = read_point_cloud(sensors / frame.lidar_path)
    tally.equal("navsim: point cloud paths", where, [frame.lidar_path], [known["path"]])
    tally.equal("navsim: point clouds", where, [*points.shape, _digest(points)], [*known["shape"], known["sha256"]])
    tally.close("navsim: points", where, [points[:, 0], points[:, -1]], [known["first"], known["last"]])


def _digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _check_agent_input(scene, known, sensors, tally):
    base = scene.current.ego_pose
    for frame, answer in zip(scene.history, known, strict=True):
        where = f"{scene.token}, {frame.token}"
        relative = relative_to(base, frame.ego_pose[None])[0]
        golden = np.array(answer["pose"]["data"])
        digits = POSES if answer["pose"]["dtype"] == "float64" else 1e-6
        tally.close("navsim: agent input, poses", where, relative, golden, digits)
        tally.close("navsim: agent input, velocity", where, frame.ego_velocity, answer["v"]["data"])
        tally.close("navsim: agent input, acceleration", where, frame.ego_acceleration, answer["a"]["data"])
        tally.close("navsim: agent input, command", where, frame.driving_command, answer["cmd"]["data"])
        if answer["lidar"] is not None:
            digest = _digest(read_point_cloud(sensors / frame.lidar_path))
            tally.equal("navsim: agent input, point clouds", where, [digest], [answer["lidar"]])
        tally.equal("navsim: agent input, cameras", where, sorted(frame.cameras), sorted(answer["cameras"]))


def _check_extended(scene, known, tally):
    counts = [len(scene.future_lights), len(scene.future_boxes)]
    tally.equal("navsim: moments after the last frame", scene.token, counts, known["num_extended"])
    for step, lights in enumerate(known["extended_lights"]):
        mine = [(one.lane_connector_id, one.status, one.timestamp_us) for one in scene.future_lights[step]]
        tally.equal("navsim: later lights", f"{scene.token}, {step}", mine, [tuple(one) for one in lights])
    for step, objects in enumerate(known["extended_tracks"]):
        boxes, where = scene.future_boxes[step], f"{scene.token}, {step}"
        mine = [[token, name.upper()] for token, name in zip(boxes.track_tokens, boxes.names, strict=True)]
        tally.equal("navsim: later objects", where, mine, [one[:2] for one in objects])
        values = np.column_stack([boxes.boxes, boxes.velocities])
        tally.close("navsim: later boxes", where, values, [one[2:] for one in objects])
