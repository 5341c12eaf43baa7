import gzip
import json

import numpy as np
import pytest

from swerve.data import open_source
from swerve.data.sources.neutral.neutral_log import parse_log
from swerve.data.sources.neutral.neutral_source import NeutralSource, load_scenes, read_document, scene_of
from swerve.scenes import LightState, LogError, ObjectClass
from tests.support.neutral_document import document


def written(tmp_path, content, name="log.json.gz"):
    with gzip.open(tmp_path / name, "wt") as stream:
        json.dump(content, stream)
    return tmp_path / name


def test_a_log_is_what_the_document_says(tmp_path):
    path = written(tmp_path, document())
    source = open_source(str(path))
    assert source.kind == "neutral"
    assert source.names() == ("made",)
    log = source.load("made")
    assert log.tracks.ids == ("a", "b")
    assert log.tracks.classes.tolist() == [ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN]
    assert log.tracks.valid.sum(axis=1).tolist() == [25, 21]
    np.testing.assert_allclose(log.tracks.positions[0, 4], [14.0, 0.0, 0.75])
    np.testing.assert_allclose(log.tracks.sizes[0, 0], [4.0, 2.0, 1.5])
    np.testing.assert_allclose(log.tracks.velocities[0, 0], [10.0, 0.0])
    assert log.lights.states[0, 7] == LightState.RED
    assert log.route == ("g1",)
    assert log.vehicle.length == pytest.approx(5.176)
    np.testing.assert_allclose(log.ego.headings, 0.1)


def test_scenes_carry_their_overrides(tmp_path):
    scenes = load_scenes(written(tmp_path, document()))
    plain, changed = scenes["0123456789abcdef"], scenes["0123456789abcdef0"]
    assert (plain.follow_up, changed.follow_up) == (False, True)
    assert (plain.scene.now, plain.scene.history, plain.scene.future) == (5, 5, 15)
    log = changed.scene.log
    assert log.route == ()
    assert log.lights.states[0, [0, 4, 5, 9, 10, 15, 19]].tolist() == [0, 0, 1, 1, 0, 3, 3]
    assert log.tracks.valid[log.tracks.ids.index("x")].nonzero()[0].tolist() == [5, 6, 7, 8, 9]
    c, s = np.cos(0.1), np.sin(0.1)
    np.testing.assert_allclose(log.ego.positions[3, :2], [3 + c - 2 * s, s + 2 * c])
    np.testing.assert_allclose(log.ego.headings, 0.6)


def test_a_scene_keeps_the_order_of_its_own_frame(tmp_path):
    content = document()
    path = written(tmp_path, content)
    assert load_scenes(path)["0123456789abcdef"].scene.log.tracks.ids == ("b", "a")
    content["frames"][5]["objects"].reverse()
    scene = scene_of(content, content["scenes"][0], path).scene
    assert scene.log.tracks.ids == ("a", "b")
    np.testing.assert_allclose(scene.log.tracks.positions[0, 4], [14.0, 0.0, 0.75])


def test_broken_documents_say_what_is_wrong(tmp_path):
    with pytest.raises(LogError, match="schema: is 'other'"):
        read_document(written(tmp_path, {"schema": "other"}, "other.json.gz"))
    content = document()
    del content["map"]["lanes"][0]["polygon"]
    with pytest.raises(LogError, match="polygon: is missing"):
        parse_log(content, "here")
    content = document()
    content["frames"][0]["objects"][0][1] = "spaceship"
    with pytest.raises(LogError, match="spaceship"):
        parse_log(content, "here")
    content = document()
    content["scenes"][0]["frame"] = 20
    with pytest.raises(LogError, match=r"scene 0123456789abcdef: .*needs steps"):
        load_scenes(written(tmp_path, content, "late.json.gz"))
    content["scenes"] = [content["scenes"][1] | {"extra_objects": []}]
    with pytest.raises(LogError, match="extra_objects: has 0 frames instead of 5"):
        load_scenes(written(tmp_path, content, "short.json.gz"))
    with pytest.raises(LogError, match="no log 'other'"):
        NeutralSource(written(tmp_path, document())).load("other")


def test_a_scene_sees_the_class_of_its_own_first_observation(tmp_path):
    content = document()
    for index, frame in enumerate(content["frames"]):
        frame["objects"][-1][1] = "pedestrian" if index < 5 else "barrier"
    scene = load_scenes(written(tmp_path, content))["0123456789abcdef"].scene
    row = scene.log.tracks.ids.index("a")
    assert scene.log.tracks.classes[row] == ObjectClass.BARRIER


def test_lights_of_lanes_that_the_map_lacks_rule_nobody(tmp_path):
    content = document()
    content["frames"][3]["traffic_lights"] = [["elsewhere", "red"]]
    log = parse_log(read_document(written(tmp_path, content)), "log")
    assert log.lights.lane_ids == ("l1",)


def broken(change):
    content = document()
    change(content)
    return content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["frames"][4]["ego"].update(x=float("nan")), "NaN"),
        (lambda content: content["frames"][4].update(t_us=0), "t_us"),
        (lambda content: content["map"]["roadblocks"][0].update(lane_ids=["l9"]), "l9"),
        (lambda content: content["scenes"][0].pop("frame"), "frame"),
        (lambda content: content["scenes"][0].pop("token"), "token"),
        (lambda content: content.pop("navsim_stride"), "navsim_stride"),
        (lambda content: content.pop("scenes"), "scenes"),
        (lambda content: content.update(log_name=5), "log_name: is 5, not a text"),
        (lambda content: content.update(log_name="a\nb"), r"log_name: has a character that is not printable: a\\nb"),
        (lambda content: content.update(log_name="\x1b[31m"), "log_name"),
        (lambda content: content.update(log_name=""), "log_name: has 0 characters"),
        (lambda content: content.update(frames={}), "frames: is an object of 0, not a list"),
        (lambda content: content["frames"][4]["ego"].update(x="nan"), r"frames\[4\].ego.x: is 'nan', not a number"),
        (lambda content: content["frames"][4]["ego"].update(x=True), r"frames\[4\].ego.x: is True, not a number"),
        (lambda content: content["frames"][4]["ego"].update(x=10**400), r"frames\[4\].ego.x: is a whole number beyond"),
        (lambda content: content["frames"][4].update(t_us=10**30), r"frames\[4\].t_us: is a whole number beyond 64"),
        (lambda content: content["frames"][4]["objects"][0].__setitem__(5, True), r"frames\[4\].objects\[:, 2:\]"),
        (lambda content: content["frames"][4]["objects"][0].__setitem__(0, 7), r"objects\[0\]\[0\]: is 7, not a text"),
        (lambda content: content["frames"][4]["objects"].append(content["frames"][4]["objects"][0]), "track b twice"),
        (lambda content: content["frames"][4]["objects"][0].__setitem__(5, -1.0), "a box without size"),
        (lambda content: content["vehicle"].update(width=1e6), r"vehicle.width: is 1000000.0, not a number from 0.01"),
        (lambda content: content.update(route_roadblock_ids=["g9"]), "route: there is no lane group g9"),
        (lambda content: content.update(route_roadblock_ids=[5]), r"route_roadblock_ids\[0\]: is 5"),
        (lambda content: content["map"]["lanes"].append(content["map"]["lanes"][0]), "lanes: l1 occurs twice"),
        (lambda content: content["map"]["roadblocks"].append(content["map"]["roadblocks"][0]), "g1 occurs twice"),
        (lambda content: content["map"]["lanes"][0]["centerline"].append([1e7, 0]), "centerline: points 10000000 m by"),
        (lambda content: content["scenes"].append(content["scenes"][0]), "two scenes of one token"),
        (lambda content: content["scenes"][1].update(ego_offset=[1e300, 0, 0]), "ego_offset"),
        (lambda content: content["scenes"][1]["extra_objects"][1].append(["a", "barrier", *[1] * 8]), "track a twice"),
    ],
)
def test_damaged_logs_end_in_one_error_that_names_the_field(tmp_path, change, message):
    path = written(tmp_path, broken(change))
    with pytest.raises(LogError, match=message):
        load_scenes(path)


def test_deep_documents_end_in_one_error(tmp_path):
    path = tmp_path / "log.json"
    for text in ("[" * 100_000, '{"schema": ' + "[" * 900 + "]" * 900 + "}", '{"a":' * 5000):
        path.write_text(text)
        with pytest.raises(LogError, match=r"file: is not JSON that can be read .nested more than 64 levels deep"):
            read_document(path)


def test_a_file_that_changes_between_two_loads_is_read_anew(tmp_path):
    path = tmp_path / "log.json"
    path.write_text(json.dumps(document()))
    source = NeutralSource(path)
    assert source.load("made").route == ("g1",)
    path.write_text(json.dumps({**document(), "route_roadblock_ids": []}))
    assert source.load("made").route == ()
    path.write_text(json.dumps({**document(), "log_name": "other"}))
    assert source.names() == ("other",)


def test_a_file_of_damaged_gzip_is_named(tmp_path):
    path = written(tmp_path, document())
    data = bytearray(path.read_bytes())
    data[30:60] = bytes(30)
    path.write_bytes(bytes(data))
    with pytest.raises(LogError, match="cannot be read"):
        read_document(path)
