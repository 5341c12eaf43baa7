"""Damaged Argoverse 2 files raise one error that names the file and the field."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest

from swerve.data.sources.av2.av2_source import av2_source, read_log
from swerve.scenes import LogError
from tests.support.av2_log import (
    BOXES,
    POSES,
    START,
    edit_table,
    later,
    rewrite,
    without_column,
    write_av2_log,
    write_sweep,
    write_table,
)


def edit_map(folder, change):
    path = next((folder / "map").glob("log_map_archive_*.json"))
    archive = json.loads(path.read_text())
    change(archive)
    path.write_text(json.dumps(archive))


def edit_lane(folder, **fields):
    edit_map(folder, lambda archive: archive["lane_segments"]["1"].update(fields))


def recast(path, column, kind):
    """Store a column of a table as another type."""
    table = feather.read_table(path)
    at = table.column_names.index(column)
    feather.write_feather(table.set_column(at, column, table[column].cast(kind, safe=False)), str(path))


def damaged(path):
    """Bytes of the middle set: offsets of texts that lead out of the table."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 400] = b"\xff" * 400
    path.write_bytes(bytes(data))


def write_sim2(folder, **fields):
    path = next((folder / "map").glob("*Sim2*"))
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


POINT = {"x": 1000.0, "y": 2000.0, "z": 0.0}
BAD = {
    "no poses": (lambda log: (log / POSES).unlink(), POSES, "file"),
    "no annotations": (lambda log: (log / BOXES).unlink(), BOXES, "file"),
    "not a table": (lambda log: (log / POSES).write_bytes(b"nonsense"), POSES, "file"),
    "column missing": (lambda log: without_column(log / BOXES, "tx_m"), BOXES, "tx_m"),
    "NaN pose": (lambda log: edit_table(log / POSES, "tx_m", 3, float("nan")), POSES, "tx_m"),
    "no rotation": (lambda log: edit_table(log / POSES, "qw", 3, 0.5), POSES, "qw"),
    "times fall": (lambda log: edit_table(log / POSES, "timestamp_ns", 3, START), POSES, "timestamp_ns"),
    "boxes too late": (lambda log: edit_table(log / BOXES, "timestamp_ns", 5, START * 2), BOXES, "timestamp_ns"),
    "unknown category": (lambda log: edit_table(log / BOXES, "category", 0, "UNICORN"), BOXES, "category"),
    "two boxes at once": (lambda log: edit_table(log / BOXES, "track_uuid", 0, "walker"), BOXES, "track_uuid"),
    "no size": (lambda log: edit_table(log / BOXES, "width_m", 0, 0.0), "", "tracks.sizes"),
    "damaged table": (lambda log: damaged(log / BOXES), BOXES, ""),
    "times as text": (lambda log: recast(log / POSES, "timestamp_ns", pa.string()), POSES, "timestamp_ns"),
    "times as numbers": (lambda log: recast(log / BOXES, "timestamp_ns", pa.float64()), BOXES, "timestamp_ns"),
    "sizes as text": (lambda log: recast(log / BOXES, "length_m", pa.string()), BOXES, "length_m"),
    "category as numbers": (
        lambda log: write_table(log / BOXES, **feather.read_table(log / BOXES).to_pydict() | {"category": [1] * 6}),
        BOXES, "category",
    ),
    "no category": (lambda log: edit_table(log / BOXES, "category", 2, None), BOXES, "category"),
    "no id": (lambda log: edit_table(log / BOXES, "track_uuid", 2, None), BOXES, "track_uuid"),
    "no time": (lambda log: edit_table(log / BOXES, "timestamp_ns", 2, None), BOXES, "timestamp_ns"),
    "no annotation": (lambda log: rewrite(log / BOXES, lambda rows: []), BOXES, "rows"),
    "no pose": (lambda log: rewrite(log / POSES, lambda rows: []), POSES, "rows"),
    "one pose": (lambda log: rewrite(log / POSES, lambda rows: rows[2:3]), POSES, "timestamp_ns"),
    "hole in the poses": (
        lambda log: (later(log / POSES, 10**9, 11), edit_table(log / BOXES, "timestamp_ns", 5, START + 5 * 10**8)),
        BOXES, "timestamp_ns",
    ),
    "ego jumps": (lambda log: edit_table(log / POSES, "ty_m", 12, 2900.0), POSES, "ego.world_from_ego"),
    "box jumps": (lambda log: edit_table(log / BOXES, "tx_m", 0, 900.0), "", "tracks.positions"),
    "box of a kilometre": (lambda log: edit_table(log / BOXES, "length_m", 0, 1e3), "", "tracks.sizes"),
    "ego too short": (
        lambda log: rewrite(log / BOXES, lambda rows: [row | {"category": "EGO_VEHICLE"} for row in rows[::-1]]),
        BOXES, "length_m",
    ),
    "camera without focal length": (
        lambda log: edit_table(log / "calibration/intrinsics.feather", "fx_px", 0, 0.0), "intrinsics", "ring_front",
    ),
    "camera without width": (
        lambda log: edit_table(log / "calibration/intrinsics.feather", "width_px", 0, 0), "intrinsics", "ring_front",
    ),
    "map a list": (lambda log: next((log / "map").glob("log*")).write_text("[]"), "log_map_archive", "file"),
    "lanes a list": (
        lambda log: edit_map(log, lambda archive: archive.update(lane_segments=[])), "map", "lane_segments",
    ),
    "lane null": (
        lambda log: edit_map(log, lambda archive: archive["lane_segments"].update({"1": None})),
        "map", "lane_segments.1",
    ),
    "lane without id": (
        lambda log: edit_map(log, lambda archive: archive["lane_segments"]["1"].pop("id")), "map", "lane_segments.1",
    ),
    "lane's id a list": (lambda log: edit_lane(log, id=[1]), "map", "lane_segments.1"),
    "two lanes of one id": (lambda log: edit_lane(log, id=2), "map", "lane_segments.2"),
    "crossing null": (
        lambda log: edit_map(log, lambda archive: archive["pedestrian_crossings"].update({"8": None})),
        "map", "pedestrian_crossings.8",
    ),
    "successors null": (lambda log: edit_lane(log, successors=None), "map", "successors"),
    "predecessor a list": (lambda log: edit_lane(log, predecessors=[[2]]), "map", "predecessors"),
    "neighbour a list": (lambda log: edit_lane(log, left_neighbor_id=[3]), "map", "left_neighbor_id"),
    "lane type a list": (lambda log: edit_lane(log, lane_type=["BUS"]), "map", "lane_type"),
    "intersection null": (lambda log: edit_lane(log, is_intersection=None), "map", "is_intersection"),
    "boundary null": (lambda log: edit_lane(log, right_lane_boundary=None), "map", "right_lane_boundary"),
    "boundary of numbers": (lambda log: edit_lane(log, right_lane_boundary=[1, 2]), "map", "right_lane_boundary"),
    "boundary of texts": (
        lambda log: edit_lane(log, right_lane_boundary=[{"x": "1", "y": "2", "z": "3"}] * 2), "map", "right_lane",
    ),
    "lane without length": (
        lambda log: edit_lane(log, left_lane_boundary=[POINT] * 2, right_lane_boundary=[POINT] * 3),
        "map", "left_lane_boundary",
    ),
    "boundary far away": (
        lambda log: edit_lane(log, right_lane_boundary=[POINT, POINT | {"x": 1e9}]), "map", "right_lane_boundary",
    ),
    "area of two points": (
        lambda log: edit_map(log, lambda archive: archive["drivable_areas"]["7"].update(area_boundary=[POINT, POINT])),
        "map", "area_boundary",
    ),
    "area far away": (
        lambda log: edit_map(log, lambda archive: archive["drivable_areas"]["7"]["area_boundary"][0].update(z=-1e5)),
        "map", "area_boundary",
    ),
    "ground infinite": (
        lambda log: np.save(next((log / "map").glob("*.npy")), np.full((9, 9), np.inf)), "ground_height", "heights",
    ),
    "column's name no text": (
        lambda log: (log / POSES).write_bytes((log / POSES).read_bytes().replace(b"timestamp_ns", b"timestamp_\xffs")),
        POSES, "file",
    ),
    "scale a text": (lambda log: write_sim2(log, s="a"), "Sim2", "s"),
    "scale huge": (lambda log: write_sim2(log, s=10**400), "Sim2", "s"),
    "scale a list": (lambda log: write_sim2(log, s=[2.0]), "Sim2", "s"),
    "scale zero": (lambda log: write_sim2(log, s=0), "Sim2", "s"),
    "shift a text": (lambda log: write_sim2(log, t="ab"), "Sim2", "t"),
    "shift of one": (lambda log: write_sim2(log, t=[1.0]), "Sim2", "t"),
    "rotation ragged": (lambda log: write_sim2(log, R=[[1, 0], [0]]), "Sim2", "R"),
    "Sim2 a list": (lambda log: next((log / "map").glob("*Sim2*")).write_text("[]"), "Sim2", "file"),
    "map without JSON": (lambda log: next((log / "map").glob("log*")).unlink(), "map", "log_map_archive"),
    "raster without Sim2": (lambda log: next((log / "map").glob("*Sim2*")).unlink(), "map", "Sim2"),
    "not JSON": (lambda log: next((log / "map").glob("log*")).write_text("{"), "log_map_archive", "file"),
    "empty map": (
        lambda log: edit_map(log, lambda archive: archive.update(lane_segments={}, drivable_areas={})),
        "",
        "road_map",
    ),
    "map key missing": (
        lambda log: edit_map(log, lambda archive: archive.pop("drivable_areas")),
        "map",
        "drivable_areas",
    ),
    "lane key missing": (
        lambda log: edit_map(log, lambda archive: archive["lane_segments"]["1"].pop("lane_type")),
        "map",
        "lane_type",
    ),
    "unknown paint": (
        lambda log: edit_map(log, lambda archive: archive["lane_segments"]["1"].update(left_lane_mark_type="PINK")),
        "map",
        "left_lane_mark_type",
    ),
    "NaN boundary": (
        lambda log: edit_map(
            log, lambda archive: archive["lane_segments"]["1"]["left_lane_boundary"][0].update(x=float("nan"))
        ),
        "map",
        "left_lane_boundary",
    ),
    "ground elsewhere": (
        lambda log: next((log / "map").glob("*Sim2*")).write_text('{"R": [1,0,0,1], "t": [-1040, -1980], "s": 2.0}'),
        "map",
        "ground height",
    ),
    "calibration incomplete": (
        lambda log: (log / "calibration" / "intrinsics.feather").unlink(),
        "intrinsics.feather",
        "file",
    ),
    "sweep without time": (
        lambda log: write_sweep(log, START, np.ones((1, 3))).rename(log / "sensors/lidar/one.feather"),
        "one.feather", "file name",
    ),
    "photo without time": (
        lambda log: (log / "sensors/cameras/ring_front_center/one.jpg").touch(),
        "one.jpg",
        "file name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gives_one_error_with_file_and_field(tmp_path, case):
    spoil, file, field = BAD[case]
    folder = write_av2_log(tmp_path / "abc", with_calibration=True)
    spoil(folder)
    with pytest.raises(LogError) as caught:
        av2_source(tmp_path).load("abc")
    assert str(folder) in caught.value.path
    assert file in caught.value.path
    assert field in caught.value.field


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_table_gives_one_error_or_is_still_sound(tmp_path, seed):
    """Bytes overwritten anywhere: a LogError of one line, or numbers that pass every check."""
    folder, generator = write_av2_log(tmp_path / "abc", with_map=False), np.random.default_rng(seed)
    path = folder / (POSES, BOXES)[seed % 2]
    data = bytearray(path.read_bytes())
    for at in generator.integers(0, len(data), 1 + seed % 5):
        data[at] = generator.integers(256)
    path.write_bytes(bytes(data))
    try:
        log = read_log(folder)
    except LogError as error:
        problem = str(error)
        assert "\n" not in problem
    else:
        assert len(log.times_us)


SPOILED_SWEEPS = {
    "gone": (lambda path: path.unlink(), "file: not found"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:200]), "file: is not a Feather table"),
    "empty": (lambda path: rewrite(path, lambda rows: []), "rows: the table has none"),
    "no z": (lambda path: without_column(path, "z"), "z: no such column"),
    "NaN": (lambda path: edit_table(path, "y", 1, float("nan")), "y: is not finite in row 1"),
}


@pytest.mark.parametrize("case", SPOILED_SWEEPS)
def test_a_spoiled_sweep_gives_one_error(tmp_path, case):
    spoil, problem = SPOILED_SWEEPS[case]
    path = write_sweep(write_av2_log(tmp_path / "abc"), START, np.ones((50, 3)))
    (sweep,) = read_log(tmp_path / "abc").sweeps
    spoil(path)
    with pytest.raises(LogError, match=f"{START}.feather: {problem}"):
        sweep.read()
