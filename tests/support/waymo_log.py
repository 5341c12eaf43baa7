"""Synthetic Waymo records: a record file's bytes, a Scenario and a Frame, each small enough to check by hand."""

import struct
from pathlib import Path

import numpy as np


def crc32c(data: bytes) -> int:
    """Compute the CRC bit by bit from the polynomial."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def write_records(path: Path, *records: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    heads = [struct.pack("<Q", len(data)) for data in records]
    path.write_bytes(
        b"".join(head + masked(head) + data + masked(data) for head, data in zip(heads, records, strict=True))
    )
    return path


def scenario(with_map=True):
    """Build a scenario: sdc along x at 10 m/s from (500, 300); a standing cyclist; lanes 1, 2 parallel, 3 after 1."""
    from waymo_open_dataset.protos import scenario_pb2

    made = scenario_pb2.Scenario(scenario_id="made_up", timestamps_seconds=[0.0, 0.1, 0.2], sdc_track_index=1)
    for number, kind, y, speed in ((7, 3, 305.0, 0.0), (8, 1, 300.0, 10.0)):
        track = made.tracks.add(id=number, object_type=kind)
        for step in range(3):
            track.states.add(
                center_x=500 + speed * 0.1 * step, center_y=y, center_z=3.0, length=5, width=2, height=2, heading=0.0,
                velocity_x=speed, velocity_y=0.0, valid=number == 8 or step < 2,
            )  # fmt: skip
    if with_map:
        _add_map(made.map_features)
        for states in ((4, 1), (6, 8), (3,)):
            lights = made.dynamic_map_states.add()
            for lane, state in zip((1, 2), states, strict=False):
                light = lights.lane_states.add(lane=lane, state=state)
                light.stop_point.x, light.stop_point.y, light.stop_point.z = 540.0, 300.0, 2.0
    return made


def _add_map(features) -> None:
    def polyline(points, y, x0, x1, z=2.0):
        for x in np.arange(x0, x1 + 0.1, 0.5):
            points.add(x=x, y=y, z=z)

    def boundary(side, feature, start, end, kind=0):
        side.add(boundary_feature_id=feature, lane_start_index=start, lane_end_index=end, boundary_type=kind)

    first, second, third = (features.add(id=number).lane for number in (1, 2, 3))
    polyline(first.polyline, 300.0, 480, 540)
    polyline(second.polyline, 296.6, 480, 540)
    polyline(third.polyline, 300.0, 540, 560)
    first.exit_lanes.append(3)
    third.entry_lanes.append(1)
    third.interpolating = True
    first.speed_limit_mph = 30
    first.right_neighbors.add(
        feature_id=2, self_start_index=0, self_end_index=120, neighbor_start_index=0, neighbor_end_index=120
    )
    second.left_neighbors.add(
        feature_id=1, self_start_index=0, self_end_index=120, neighbor_start_index=0, neighbor_end_index=120
    )
    boundary(first.left_boundaries, 10, 0, 120, 7)
    boundary(second.right_boundaries, 11, 0, 60)
    line = features.add(id=10).road_line
    line.type = 7
    polyline(line.polyline, 301.6, 470, 550)
    edge = features.add(id=11).road_edge
    edge.type = 1
    polyline(edge.polyline, 294.6, 470, 550)
    sign = features.add(id=12).stop_sign
    sign.lane.append(2)
    sign.position.x, sign.position.y, sign.position.z = 538.2, 293.0, 4.0
    crossing = features.add(id=13).crosswalk
    for x, y in ((545, 290), (548, 290), (548, 303), (545, 303)):
        crossing.polygon.add(x=x, y=y, z=2.0)


def frame(step=0, name="segment", label="car"):
    """Build a frame: car at (1000 + step, 2000, 50), facing y; a label 10 m ahead; a forward camera."""
    from waymo_open_dataset import dataset_pb2

    made = dataset_pb2.Frame(timestamp_micros=1_000_000 + 100_000 * step)
    made.context.name = name
    pose = [0, -1, 0, 1000, 1, 0, 0, 2000 + step, 0, 0, 1, 50, 0, 0, 0, 1]
    made.pose.transform.extend(pose)
    calibration = made.context.camera_calibrations.add(name=1, width=1920, height=1280)
    calibration.intrinsic.extend([2000.0, 2000.0, 960.0, 640.0, 0.04, -0.3, 0.001, 0.0, 0.0])
    calibration.extrinsic.transform.extend([1, 0, 0, 1.5, 0, 1, 0, 0, 0, 0, 1, 2.0, 0, 0, 0, 1])
    image = made.images.add(name=1, image=b"\xff\xd8 picture %d" % step, pose_timestamp=1.02 + 0.1 * step)
    image.pose.transform.extend(pose)
    image.velocity.v_y = 5.0
    box = made.laser_labels.add(id=label, type=1)
    box.box.center_x, box.box.center_z = 10.0, 0.8
    box.box.length, box.box.width, box.box.height, box.box.heading = 4.0, 1.9, 1.6, np.pi / 2
    box.metadata.speed_x = -3.0
    return made
