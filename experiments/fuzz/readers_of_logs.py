"""Readers of driving logs: the sources, and files that they refer to."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from experiments.fuzz.formats import (
    blindly,
    mutate_feather,
    mutate_json,
    mutate_json_gz,
    mutate_npy,
    mutate_pickle,
    mutate_sqlite,
    mutate_text,
)
from experiments.fuzz.hostile import Mutation, mutate_bytes, mutate_tree, pick
from experiments.fuzz.reader import Reader
from swerve.data.sources.checks import check_log
from swerve.data.sources.registry import open_source
from swerve.data.storage.msgpack import pack, unpack
from swerve.data.storage.write_pickle import PickledEnum, PickledInstance, pickled
from swerve.scenes import Log, extract_scenes
from tests.support import (
    av2_log,
    dgp_scene,
    kitti_recording,
    kitti_sequence,
    navsim_files,
    nuplan_writer,
    nuscenes_scene,
    waymo_log,
)
from tests.support.source_rows import ROWS


def _read_logs(folder: Path, source: str) -> None:
    """Load every log of a source, validate it, and cut scenes from it."""
    opened = open_source(f"{source}:{folder}")
    for name in opened.names():
        _valid(opened.load(name))


def _valid(log: Log) -> None:
    problem = _problem(log)
    assert problem is None, problem
    for scene in extract_scenes(log, 0.1, 0.1, 0.5)[:3]:
        assert np.isfinite(scene.ego.world_from_ego).all()


def _problem(log: Log) -> str | None:
    """Return what is wrong with a log that a source has given; None if nothing is."""
    try:
        check_log(log, "log")
        json.dumps([log.name, *log.tracks.ids, *log.route], ensure_ascii=False).encode()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _neutral_document() -> dict[str, Any]:
    """Return half a second on one lane, with two agents, a light, and two scenes, one with overrides."""
    frames = [
        {
            "t_us": 10**15 + 100_000 * step,
            "ego": {"x": 5.0 + step, "y": 0.5, "heading": 0.1, "vx": 10.0, "vy": 0.0, "ax": 0.0, "ay": 0.1},
            "objects": [
                ["a", "vehicle", 20.0 + step, 0.0, 0.0, 4.0, 2.0, 1.5, 10.0, 0.0],
                ["b", "pedestrian", 15.0, 3.0, 1.0, 0.6, 0.6, 1.8, 0.0, 0.0],
            ],
            "traffic_lights": [["l1", "red"]] if step < 3 else [],
        }
        for step in range(6)
    ]
    square, links = [[0, -2], [60, -2], [60, 2], [0, 2]], {"predecessors": [], "successors": []}
    lane = {"id": "l1", "roadblock_id": "g1", "type": "lane", "polygon": square, "centerline": [[0, 0], [60, 0]]}
    group = {"id": "g1", "type": "roadblock", "polygon": square, "lane_ids": ["l1"], **links}
    area = {"id": 7, "polygon": square, "holes": [[[10, 0], [11, 0], [11, 1]]]}
    scene = {"token": "0123456789abcdef", "frame": 1, "num_history_frames": 1, "num_future_frames": 2}
    changed = {"traffic_lights": [[["l1", "green"]], [], []], "ego_offset": [0.5, -0.2, 0.1]}
    extra = {"extra_objects": [[["x", "barrier", 1, 2, 0, 1, 1, 1, 0, 0]], [], []], "route_roadblock_ids": ["g1"]}
    return {
        "schema": "ps-neutral-log/1",
        "log_name": "made",
        "vehicle": {
            "name": "p",
            "width": 2.3,
            "height": 1.8,
            "front_length": 4.0,
            "rear_length": 1.1,
            "wheel_base": 3.1,
        },
        "navsim_stride": 2,
        "frames": frames,
        "map": {
            "lanes": [{**lane, **links, "speed_limit_mps": 13.9}],
            "roadblocks": [group],
            **{key: [] for key in ("intersections", "carparks", "crosswalks")},
            "drivable_areas": [area],
        },
        "route_roadblock_ids": ["g1"],
        "scenes": [scene, {**scene, "token": "0123456789abcdef0", **changed, **extra}],
    }


def _two_stage() -> dict[str, Any]:
    frames = [{**frame, "ego": frame["ego"] if step < 3 else None} for step, frame in enumerate(_frames_at_2_hz())]
    second = [{"token": f"0123456789abcde{kind}0", "current_frame": 2, "frames": frames} for kind in "np"]
    pairs = [[one["token"] for one in second]]
    return {
        "schema": "ps-neutral-two-stage/1",
        "log": "made",
        "second_stage": second,
        "mapping": [["0123456789abcdef", "0123456789abcdef", pairs]],
    }


def _frames_at_2_hz() -> list[dict[str, Any]]:
    return [{**frame, "t_us": 10**15 + 500_000 * step} for step, frame in enumerate(_neutral_document()["frames"])]


def _write_neutral(folder: Path) -> None:
    (folder / "logs").mkdir()
    (folder / "logs" / "log.json").write_text(json.dumps(_neutral_document()))
    other = {**_neutral_document(), "log_name": "packed"}
    (folder / "logs" / "packed.json.gz").write_bytes(gzip.compress(json.dumps(other).encode()))
    (folder / "two_stage.json").write_text(json.dumps(_two_stage()))


def _read_neutral(folder: Path) -> None:
    from swerve.data.sources.neutral.neutral_source import NeutralSource

    source = NeutralSource(folder / "logs")
    for name in source.names():
        _valid(source.load(name))
        for scene in source.scenes(name).values():
            _valid(scene.scene.log)
    scenes, groups = source.follow_ups(folder / "two_stage.json")
    for scene in scenes.values():
        _valid(scene.scene.log)
    assert all(isinstance(token, str) for now, before, pairs in groups for token in (now, before, *sum(pairs, ())))


def _write_av2(folder: Path) -> None:
    av2_log.write_av2_log(folder / "log", with_calibration=True)
    av2_log.write_sweep(folder / "log", av2_log.START + av2_log.SWEEP, np.zeros((20, 3)))


def _read_av2(folder: Path) -> None:
    source = open_source(f"av2:{folder}")
    for name in source.names():
        log = source.load(name)
        _valid(log)
        for sweep in log.sweeps:
            assert np.isfinite(sweep.read()).all()


def _protobuf(random: np.random.Generator, content: bytes) -> bytes:
    """Change the message of a record; its length and checksums fit again."""
    data = mutate_bytes(random, content[12:-4])
    head = len(data).to_bytes(8, "little")
    return head + waymo_log.masked(head) + data + waymo_log.masked(data)


def _record(random: np.random.Generator, content: bytes) -> bytes:
    """Change the head of a record, whose checksum fits again."""
    head = pick(random, (b"\xff" * 8, (2**40).to_bytes(8, "little"), bytes(8), random.bytes(8)))
    return head + waymo_log.masked(head) + content[12:]


def _waymo(random: np.random.Generator, content: bytes) -> bytes:
    return _record(random, content) if random.random() < 0.1 else _protobuf(random, content)


def _write_waymo(folder: Path) -> None:
    waymo_log.write_records(folder / "motion.tfrecord", waymo_log.scenario().SerializeToString())
    waymo_log.write_records(folder / "frames.tfrecord", waymo_log.frame().SerializeToString())


def _write_kitti(folder: Path) -> None:
    sequence = kitti_sequence.write_kitti(folder / "00", count=3, first=0)
    (sequence / "times.txt").write_text("0.0\n0.1\n0.2\n")


def _write_kitti_tracking(folder: Path) -> None:
    kitti_recording.write_tracking(folder)


def _write_kitti_raw(folder: Path) -> None:
    kitti_recording.write_raw(folder)


def _write_nuscenes(folder: Path) -> None:
    nuscenes_scene.write_scene(folder)


def _write_nuplan(folder: Path) -> None:
    nuplan_writer.write_db(folder, seconds=1.0)
    nuplan_writer.write_maps(folder)


def _read_everything(folder: Path, source: str) -> None:
    """Load every log of a source, validate it, and read its sweeps."""
    opened = open_source(f"{source}:{folder}")
    for name in opened.names():
        log = opened.load(name)
        _valid(log)
        for sweep in log.sweeps:
            assert np.isfinite(sweep.read()).all()


def _write_123d(folder: Path) -> None:
    """Write the log of a road with a light, boxes, images and points."""
    (row,) = (row for row in ROWS if row.kind == "123d")
    row.write(folder / "out")
    shutil.move(folder / "out" / "logs", folder / "logs")
    shutil.rmtree(folder / "out-nuplan")


def _arrow(random: np.random.Generator, content: bytes) -> bytes:
    """Mutate the description of a table, the features of a map, or a column; bytes if Arrow has no such values."""
    try:
        return _mutated_arrow(random, content)
    except (pa.ArrowException, TypeError, OverflowError, RecursionError):
        return mutate_bytes(random, content)


def _mutated_arrow(random: np.random.Generator, content: bytes) -> bytes:
    table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    about, action = unpack(table.schema.metadata[b"metadata"]), random.random()
    if action < 0.3:
        about = mutate_tree(random, about)
    elif action < 0.9:
        name = pick(random, table.column_names)
        rows = table[name].to_pylist()
        if name == "features":
            row = int(random.integers(len(rows)))
            rows[row] = pack(mutate_tree(random, unpack(rows[row])))
        else:
            rows = mutate_tree(random, rows) if action < 0.7 else [None] * len(rows)
        table = table.set_column(table.column_names.index(name), name, pa.array(rows, table[name].type))
    else:
        table = table.drop_columns([pick(random, table.column_names)])
    schema = table.schema.with_metadata({b"metadata": pack(about)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(table.cast(schema))
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


def _read_nuplan(folder: Path) -> None:
    from swerve.data.sources.nuplan.nuplan_db import NuplanDb

    source = open_source(f"nuplan:{folder}")
    for name in source.names():
        _valid(source.load(name))
    for file in folder.rglob("*.db"):
        db = NuplanDb(file)
        assert db.scenario_tokens() is not None
        assert np.isfinite(db.lidar_mount()).all()


def _write_navsim(folder: Path) -> None:
    frames = [navsim_files.frame(index) for index in range(4)]
    navsim_files.write_log(folder, frames)
    navsim_files.write_split(folder)


def _read_navsim(folder: Path) -> None:
    from swerve.data.sources.navsim.scene_filter import read_split

    _read_logs(folder, "navsim")
    for file in folder.glob("*.yaml"):
        read_split(file)


_STATES: Final = "nuplan.common.actor_state"


def _synthetic_scene(token: str = "a" * 17) -> dict[str, Any]:
    """Return a synthetic scene of four frames and one later moment, with objects of nuPlan's classes."""
    agent = PickledInstance(
        f"{_STATES}.agent",
        "Agent",
        {
            "_metadata": PickledInstance(f"{_STATES}.scene_object", "SceneObjectMetadata", {"track_token": "w"}),
            "_tracked_object_type": PickledEnum(f"{_STATES}.tracked_objects_types", "TrackedObjectType", 1),
            "_box": PickledInstance(
                f"{_STATES}.oriented_box",
                "OrientedBox",
                {
                    "_center": PickledInstance(
                        f"{_STATES}.state_representation", "StateSE2", {"x": 1.0, "y": 2.0, "heading": 0.2}
                    ),
                    **{"_length": 0.6, "_width": 0.5, "_height": 1.7},
                },
            ),
            "_velocity": PickledInstance(f"{_STATES}.state_representation", "StateVector2D", {"_x": 1.0, "_y": 0.0}),
        },
    )
    light = PickledInstance(
        "nuplan.common.maps.maps_datatypes",
        "TrafficLightStatusData",
        {
            "status": PickledEnum("nuplan.common.maps.maps_datatypes", "TrafficLightStatusType", 2),
            "lane_connector_id": 7,
            "timestamp": PickledInstance(f"{_STATES}.state_representation", "TimePoint", {"time_us": 10**15}),
        },
    )
    tracks = PickledInstance(f"{_STATES}.tracked_objects", "TrackedObjects", {"tracked_objects": [agent]})
    return {
        "scene_metadata": {
            **{"log_name": "log", "scene_token": token, "map_name": "us-ma-boston", "initial_token": token},
            **{"num_history_frames": 4, "num_future_frames": 0},
            **dict.fromkeys(("corresponding_original_scene", "corresponding_original_initial_token"), "b" * 16),
        },
        "frames": [_synthetic_frame(token, index) for index in range(4)],
        "extended_traffic_light_data": [
            PickledInstance("nuplan.common.maps.maps_datatypes", "TrafficLightStatuses", {"traffic_lights": [light]})
        ],
        "extended_detections_tracks": [
            PickledInstance(
                "nuplan.planning.simulation.observation.observation_type",
                "DetectionsTracks",
                {"tracked_objects": tracks},
            )
        ],
    }


def _synthetic_frame(token: str, index: int) -> dict[str, Any]:
    boxes = {"boxes": np.ones((1, 7), np.float32), "names": ["vehicle"], "velocity_3d": np.zeros((1, 3), np.float32)}
    ego = {"ego_pose": np.array([1.0, 2.0, 0.1]), "driving_command": np.array([1, 0, 0, 0]), "in_global_frame": True}
    motion = dict.fromkeys(("ego_velocity", "ego_acceleration"), np.zeros(2, np.float32))
    camera = navsim_files.camera(f"{token}/CAM_F0/x.jpg")
    return {
        **{"token": f"{token}{index}" if index < 3 else token, "timestamp": 10**15 + 500_000 * index},
        **{"roadblock_ids": ["1"], "traffic_lights": [(7, True)], "lidar_path": None},
        "annotations": {**boxes, "instance_tokens": ["i"], "track_tokens": ["t"]},
        "ego_status": {**ego, **motion},
        "camera_dict": {"cam_f0": camera, "cam_l0": {}},
    }


def _synthetic(random: np.random.Generator, content: bytes) -> bytes:
    tree = _synthetic_scene()
    for _ in range(int(random.integers(1, 3))):
        tree = mutate_tree(random, tree)
    try:
        return pickled(tree)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return mutate_bytes(random, content)


def _write_synthetic(folder: Path) -> None:
    (folder / f"{'a' * 17}.pkl").write_bytes(pickled(_synthetic_scene()))


def _read_synthetic(folder: Path) -> None:
    from swerve.data.sources.navsim.synthetic_scenes import read_synthetic_scene

    scene = read_synthetic_scene(folder / f"{'a' * 17}.pkl")
    texts = [scene.token, scene.log_name, scene.map_name, scene.original_scene, scene.original_initial_token]
    assert all(text is None or isinstance(text, str) for text in texts), texts
    for frame in scene.frames:
        assert np.isfinite(frame.ego_pose).all()
        assert abs(frame.timestamp_us) < 2**62
    for boxes in scene.future_boxes or ():
        assert np.isfinite(boxes.boxes).all()
        assert np.isfinite(boxes.velocities).all()


_HEADER: Final = """# .PCD v.7
VERSION .7
FIELDS x y z intensity ring lidar_info
SIZE 4 4 4 1 1 1
TYPE F F F U U U
COUNT 1 1 1 1 1 1
WIDTH 3
HEIGHT 1
POINTS 3
DATA binary
"""


def _write_point_cloud(folder: Path) -> None:
    (folder / "cloud.pcd").write_bytes(_HEADER.encode() + bytes(15 * 3))


def _header_of_cloud(random: np.random.Generator, content: bytes) -> bytes:
    return mutate_text(random, content[: len(_HEADER)]) + content[len(_HEADER) :]


def _read_point_cloud(folder: Path) -> None:
    from swerve.data.sources.nuplan.point_cloud import read_point_cloud

    points = read_point_cloud(folder / "cloud.pcd")
    assert points.shape[0] == 6
    assert np.isfinite(points[:3]).all()


_SOURCES: Final[tuple[tuple[str, Any, dict[str, Mutation], Any], ...]] = (
    ("neutral", _write_neutral, {"*.json": mutate_json, "*.json.gz": mutate_json_gz}, _read_neutral),
    ("av2", _write_av2, {"*.feather": mutate_feather, "*.json": mutate_json, "*.npy": mutate_npy}, _read_av2),
    ("waymo", _write_waymo, {"*.tfrecord": blindly(_waymo)}, lambda folder: _read_logs(folder, "waymo")),
    (
        "kitti",
        _write_kitti,
        {"*.txt": mutate_text, "*.png": mutate_bytes},
        lambda folder: _read_logs(folder, "kitti"),
    ),
    (
        "kitti-tracking",
        _write_kitti_tracking,
        {"*.txt": mutate_text, "*.bin": mutate_bytes, "*.png": mutate_bytes},
        lambda folder: _read_everything(folder, "kitti"),
    ),
    (
        "kitti-raw",
        _write_kitti_raw,
        {"*.txt": mutate_text, "*.xml": mutate_text, "*.bin": mutate_bytes},
        lambda folder: _read_everything(folder, "kitti"),
    ),
    (
        "nuscenes",
        _write_nuscenes,
        {"*.json": mutate_json, "*.bin": mutate_bytes},
        lambda folder: _read_everything(folder, "nuscenes"),
    ),
    (
        "dgp",
        lambda folder: dgp_scene.write_dgp(folder / "seq", steps=2),
        {"*.json": mutate_json, "*.npz": mutate_bytes},
        lambda folder: _read_everything(folder, "dgp"),
    ),
    (
        "123d",
        _write_123d,
        {"*.arrow": blindly(_arrow)},
        lambda folder: _read_everything(folder, "123d"),
    ),
    ("nuplan", _write_nuplan, {"*.db": mutate_sqlite, "*.gpkg": mutate_sqlite, "*.json": mutate_json}, _read_nuplan),
    ("navsim", _write_navsim, {"*.pkl": mutate_pickle, "*.yaml": mutate_text}, _read_navsim),
    ("navsim-synthetic", _write_synthetic, {"*.pkl": blindly(_synthetic)}, _read_synthetic),
    ("point-cloud", _write_point_cloud, {"*.pcd": blindly(_header_of_cloud)}, _read_point_cloud),
)
LOG_READERS: Final = tuple(Reader(*parts) for parts in _SOURCES)
