"""Recordings are read back: by Rerun's own command, and by the reader of MCAP files."""

import base64
import io
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swerve.scenes import SwerveError
from swerve.viz.mcap_recording import write_mcap
from swerve.viz.rerun_recording import in_millimetres, part, write_rrd
from swerve.viz.scene_view import CameraView3D, ColoredMesh, between
from tests.support.small_view import STEPS, small_tracks, small_view


def with_depth():
    view = small_view()
    depth = np.full((40, 64), np.inf, np.float32)
    depth[10:] = 12.5
    return small_view(cameras=(CameraView3D(view.cameras[0].camera, view.cameras[0].image, lambda step: depth),))


@pytest.fixture(scope="module")
def rrd(tmp_path_factory) -> Path:
    pytest.importorskip("rerun", reason="rerun is an extra")
    path = tmp_path_factory.mktemp("rrd") / "view.rrd"
    write_rrd(path, with_depth())
    return path


def printed(path: Path, *options: str) -> str:
    command = [str(Path(sys.executable).parent / "rerun"), "rrd", "print", *options, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_an_rrd_has_every_entity_as_often_as_it_changes(rrd):
    rows = Counter()
    for count, entity in re.findall(r"with (\d+) rows \([^)]*\) - (\S+) ", printed(rrd, "-v")):
        rows[entity] += int(count)
    assert rows["/world/agents"] == rows["/world/ego"] == STEPS
    assert rows["/world/map"] == 1
    assert rows["/world/points"] == STEPS, "three sweeps, then none, which removes the last one"
    assert rows["/curves/score"] == 4 + 1, "one is NaN; and its name"
    assert rows["/world/ego/cameras/front/image"] == STEPS + 1
    assert rows["/world/ego/cameras/front/image/depth"] == STEPS
    assert {"/world/plans/plan", "/world/plans/late", "/world/follow-ups/start", "/about"} <= set(rows)


def test_the_pinhole_is_of_the_images_where_the_first_step_has_none(tmp_path):
    pytest.importorskip("rerun", reason="rerun is an extra")
    camera = small_view().cameras[0].camera.resized(128, 80)
    late = CameraView3D(camera, lambda step: np.zeros((40, 64, 3), np.uint8) if step > 2 else None)
    write_rrd(tmp_path / "view.rrd", small_view(cameras=(late,)))
    said = printed(tmp_path / "view.rrd", "-vvv", "--entity", "/world/ego/cameras/front/image")
    assert "[64.0, 40.0]" in said
    assert "[128.0, 80.0]" not in said


def test_an_rrd_has_boxes_where_they_are(rrd):
    found = re.findall(r"┆ (P[^ ]*) +┆ (\[\[[^┆]*\]\]) ", printed(rrd, "-vvv", "--entity", "/world/agents"))
    assert len(found) == STEPS
    for step, (_, centers) in enumerate(found):
        seen = small_tracks().valid[:, step]
        np.testing.assert_allclose(json.loads(centers), small_tracks().positions[seen, step], atol=1e-6)


def test_an_rrd_comes_with_a_blueprint(rrd):
    text = printed(rrd, "-v")
    assert "Blueprint" in text
    assert "/view/" in text or "ViewContents" in text or "/viewport" in text


def test_an_mcap_has_every_topic(tmp_path):
    reader_of = pytest.importorskip("mcap.reader", reason="mcap is an extra").make_reader
    write_mcap(tmp_path / "view.mcap", with_depth())
    with open(tmp_path / "view.mcap", "rb") as stream:
        messages = [
            (schema.name, channel.topic, message.log_time, json.loads(message.data))
            for schema, channel, message in reader_of(stream).iter_messages()
        ]
    counts = Counter(topic for _, topic, _, _ in messages)
    assert counts == {
        "/map": 1, "/tf": 2 * STEPS, "/agents": STEPS, "/marks": STEPS, "/points": 3, "/curves/score": 4,
        "/camera/front/image": STEPS, "/camera/front/calibration": STEPS, "/camera/front/depth": STEPS,
    }  # fmt: skip
    by_topic = {}
    for schema, topic, time, content in messages:
        by_topic.setdefault(topic, []).append((schema, time, content))
    check_agents(by_topic["/agents"])
    check_images(by_topic)
    shown = [{entity["id"] for entity in content["entities"]} for _, _, content in by_topic["/marks"]]
    assert [("plans: late" in names) for names in shown] == [False, False, False, True, True]
    assert by_topic["/points"][0][0] == "foxglove.PointCloud"
    cloud = np.frombuffer(base64.b64decode(by_topic["/points"][0][2]["data"]), "<f4").reshape(-1, 3)
    assert cloud.tolist() == [[5.0, 3.0, 1.0], [6.0, 3.0, 2.0]]
    (triangles,) = (entity["triangles"] for entity in by_topic["/map"][0][2]["entities"])
    assert sum(len(one["points"]) for one in triangles) == 6


def check_agents(messages):
    assert [time for _, time, _ in messages] == [round(1e8 * step) for step in range(STEPS)]
    for step, (schema, _, content) in enumerate(messages):
        assert schema == "foxglove.SceneUpdate"
        places = {
            entity["id"]: [entity["cubes"][0]["pose"]["position"][axis] for axis in "xyz"]
            for entity in content["entities"]
            if entity["frame_id"] == "world"
        }
        tracks = small_tracks()
        assert set(places) == {tracks.ids[row] for row in np.flatnonzero(tracks.valid[:, step])}
        assert places["car"] == pytest.approx(tracks.positions[0, step].tolist())


def check_images(by_topic):
    image = by_topic["/camera/front/image"][3][2]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image["data"]))))
    assert abs(pixels.astype(int) - 30).max() <= 2
    calibration = by_topic["/camera/front/calibration"][0][2]
    assert (calibration["width"], calibration["K"][0], calibration["K"][2]) == (64, 40.0, 32.0)
    depth = by_topic["/camera/front/depth"][0][2]
    stored = np.frombuffer(base64.b64decode(depth["data"]), "<u2").reshape(depth["height"], depth["width"])
    assert (stored[:10] == 0).all()
    assert (stored[10:] == 12500).all()
    transforms = {content["child_frame_id"]: content for _, _, content in by_topic["/tf"]}
    assert transforms["ego"]["translation"] == {"x": 4.0, "y": 0.0, "z": 0.0}
    assert transforms["camera/front"]["translation"]["z"] == 1.5


def test_lights_are_in_an_mcap_file(tmp_path):
    reader = pytest.importorskip("mcap.reader", reason="mcap is an extra")
    lamp = ColoredMesh("lights", np.eye(3), np.array([[0, 1, 2]], np.int32), np.array([[255, 0, 51]], np.uint8))
    write_mcap(tmp_path / "view.mcap", small_view(signals=lambda step: lamp))
    with open(tmp_path / "view.mcap", "rb") as stream:
        found = [json.loads(one.data) for _, _, one in reader.make_reader(stream).iter_messages(topics=["/lights"])]
    assert len(found) == STEPS
    (triangles,) = found[-1]["entities"][0]["triangles"]
    assert triangles["points"][1] == {"x": 0.0, "y": 1.0, "z": 0.0}
    assert triangles["color"] == {"r": 1.0, "g": 0.0, "b": 0.2, "a": 1.0}


def test_a_part_of_a_view():
    part_of = between(small_view(), 0.1, 0.3)
    assert len(part_of) == 3
    assert part_of.start == 0
    assert part_of.tracks.positions[0, 0, 0] == small_tracks().positions[0, 1, 0]
    assert part_of.cameras[0].image(0).max() == 10
    late = next(one for one in part_of.paths if one.name == "late")
    assert late.steps == (2, 2)
    assert [one.name for one in between(small_view(), 0.0, 0.1).paths] == ["plan"]
    with pytest.raises(SwerveError, match=r"lasts from 0\.0 to 0\.4"):
        between(small_view(), 3.0, 4.0)


def test_names_do_not_divide_paths():
    assert part("a/b c:d") == "a_b_c_d"
    assert part("") == "_"


def test_depth_in_millimetres():
    assert in_millimetres(np.array([[0.0, 1.2345, 65.6, np.inf]], np.float32)).tolist() == [[0, 1234, 0, 0]]
