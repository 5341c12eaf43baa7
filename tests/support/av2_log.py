"""Synthetic Argoverse 2 log on disk: three sweeps, two tracks, a slope with four lanes and a crossing."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather

START, SWEEP = 315_000_000_000_000_000, 100_000_000
AXLE = 0.32  # height of the rear axle above the ground
POSES, BOXES = "city_SE3_egovehicle.feather", "annotations.feather"


def rewrite(path, change):
    """Change a table, row by row."""
    table = feather.read_table(path)
    feather.write_feather(pa.Table.from_pylist(change(table.to_pylist()), table.schema), str(path))


def later(path, by_ns, row):
    """Shift the times after a row."""
    rewrite(path, lambda rows: [
        cells | {"timestamp_ns": cells["timestamp_ns"] + by_ns * (at > row)} for at, cells in enumerate(rows)
    ])  # fmt: skip


def write_av2_log(folder: Path, *, slope=0.02, with_map=True, with_calibration=False) -> Path:
    """Write a log: the ego drives along x at 10 m/s from (1000, 2000); the ground is z = slope * (x - 1000)."""
    folder.mkdir(parents=True)
    times = START + np.arange(-2, 23) * (SWEEP // 10)
    x = 1000 + (times - START) * 1e-8
    write_table(
        folder / "city_SE3_egovehicle.feather",
        timestamp_ns=times,
        **_rows(len(times), tx_m=x, ty_m=np.full(len(times), 2000.0), tz_m=AXLE + slope * (x - 1000)),
    )
    sweeps = np.repeat(START + np.arange(3) * SWEEP, 2)
    write_table(
        folder / "annotations.feather",
        timestamp_ns=sweeps,
        track_uuid=["car", "walker"] * 3,
        category=["REGULAR_VEHICLE", "PEDESTRIAN"] * 3,
        length_m=[4.0, 0.5] * 3,
        width_m=[2.0, 0.5] * 3,
        height_m=[1.5, 1.8] * 3,
        **_rows(6, tx_m=[20.0, 10.0, 20.0, 9.0, 20.0, 8.0], ty_m=[0.0, 5.0] * 3, tz_m=[0.75 - AXLE, 0.9 - AXLE] * 3),
    )
    if with_map:
        _write_map(folder / "map", slope)
    if with_calibration:
        _write_calibration(folder / "calibration")
        image = folder / "sensors" / "cameras" / "ring_front_center" / f"{START + SWEEP // 2}.jpg"
        image.parent.mkdir(parents=True)
        image.write_bytes(b"\xff\xd8 \xff\xda not a picture \xff\xd9")
    return folder


def write_sweep(folder: Path, time_ns: int, points) -> Path:
    """Write a LiDAR sweep of a log in Argoverse's format."""
    path = folder / "sensors" / "lidar" / f"{time_ns}.feather"
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {axis: np.asarray(points)[:, row].astype(np.float16) for row, axis in enumerate("xyz")}
    write_table(path, **columns, intensity=np.zeros(len(points), np.uint8))
    return path


def write_table(path: Path, **columns) -> None:
    feather.write_feather(pa.table(columns), str(path))


def edit_table(path: Path, column: str, row: int, value) -> None:
    """Change one cell of a table."""
    table = {name: values.to_pylist() for name, values in zip(*_columns(path), strict=True)}
    table[column][row] = value
    write_table(path, **table)


def without_column(path: Path, column: str) -> None:
    feather.write_feather(feather.read_table(path).drop_columns([column]), str(path))


def _columns(path):
    table = feather.read_table(path)
    return table.column_names, table.columns


def _rows(count, **columns):
    """Return columns of a pose, facing along x by default."""
    turned = {"qw": np.ones(count), **{name: np.zeros(count) for name in ("qx", "qy", "qz")}}
    return {**turned, **columns}


def _write_calibration(folder: Path) -> None:
    folder.mkdir()
    names = ["ring_front_center", "up_lidar"]
    half = np.full(2, 0.5)
    mount = {"qw": half, "qx": -half, "qy": half, "qz": -half}
    write_table(
        folder / "egovehicle_SE3_sensor.feather",
        sensor_name=names,
        **mount,
        tx_m=[1.5] * 2,
        ty_m=[0.0] * 2,
        tz_m=[1.4] * 2,
    )
    numbers = {"fx_px": 1700.0, "fy_px": 1701.0, "cx_px": 774.0, "cy_px": 1023.0, "k1": -0.3, "k2": 0.1, "k3": 0.0}
    columns = {name: [number] for name, number in numbers.items()}
    write_table(folder / "intrinsics.feather", sensor_name=names[:1], **columns, height_px=[2048], width_px=[1550])


def _write_map(folder: Path, slope: float) -> None:
    """Write lanes 1, 2 eastbound side by side, lane 3 westbound, connector 4 from lane 2; 3.5 m wide."""
    folder.mkdir()

    def line(y, x0, x1, count=2):
        return [{"x": x, "y": y, "z": slope * (x - 1000)} for x in np.linspace(x0, x1, count).tolist()]

    def lane(number, left, right, marks, **more):
        return {
            "id": number,
            "is_intersection": False,
            "lane_type": "VEHICLE",
            "left_lane_boundary": left,
            "right_lane_boundary": right,
            "left_lane_mark_type": marks[0],
            "right_lane_mark_type": marks[1],
            "successors": [],
            "predecessors": [],
            "left_neighbor_id": None,
            "right_neighbor_id": None,
        } | more

    x0, x1, x2 = 980.0, 1060.0, 1080.0
    lanes = [
        lane(
            1,
            line(2005.25, x0, x1, 5),
            line(2001.75, x0, x1),
            ("DOUBLE_SOLID_YELLOW", "DASHED_WHITE"),
            left_neighbor_id=3,
            right_neighbor_id=2,
        ),
        lane(
            2,
            line(2001.75, x0, x1, 9),
            line(1998.25, x0, x1),
            ("NONE", "SOLID_WHITE"),
            left_neighbor_id=1,
            successors=[4, 999],
        ),
        lane(3, line(2005.25, x1, x0, 3), line(2008.75, x1, x0), ("DOUBLE_SOLID_YELLOW", "NONE"), left_neighbor_id=1),
        lane(4, line(2001.75, x1, x2), line(1998.25, x1, x2), ("NONE", "NONE"), is_intersection=True, predecessors=[2]),
    ]
    area = line(1998.25, x0, x2) + line(2008.75, x2, x0)
    archive = {
        "lane_segments": {str(entry["id"]): entry for entry in lanes},
        "drivable_areas": {"7": {"id": 7, "area_boundary": area}},
        "pedestrian_crossings": {
            "8": {"id": 8, "edge1": line(1998.25, 1050, 1051), "edge2": line(2008.75, 1051, 1050)}
        },
    }
    (folder / "log_map_archive_x____TST_city_0.json").write_text(json.dumps(archive))
    sim2 = {"R": [1.0, 0.0, 0.0, 1.0], "t": [-970.0, -1980.0], "s": 2.0}
    (folder / "x___img_Sim2_city.json").write_text(json.dumps(sim2))
    heights = np.repeat(slope * (970 + np.arange(240) / 2 - 1000)[None], 100, axis=0).astype(np.float16)
    heights[:, 200:] = np.nan
    np.save(folder / "x_ground_height_surface____TST.npy", heights)
