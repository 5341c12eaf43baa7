"""The map of a log is stored once for all contexts of its samples, which stay the same to the last bit."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.dataset.shards import dataset_digest
from swerve.data.storage.archive import from_bytes, save_archive, to_bytes
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.eval import build_context, score
from swerve.eval.context import context_store
from swerve.eval.context.context_job import write_contexts
from swerve.eval.context.context_store import ContextStore
from swerve.eval.context.log_map import STORE_VERSION, build_log_map, load_log_map, log_map_path, save_log_map
from swerve.eval.context.sample_context_file import (
    SampleContext,
    complete_context,
    log_of,
    sample_context_to_bytes,
)
from swerve.eval.context.shared_traffic import join_tracks, shared_tracks
from swerve.scenes import Scene, SwerveError
from tests.support.random_log import random_log
from tests.support.simple_log import simple_log
from tests.support.simple_source import SimpleSource

SOURCE = SimpleSource(("train-0",))
PLANS = np.stack([np.column_stack([np.arange(1, 9) * speed, np.zeros((8, 2))]) for speed in (1.0, 4.0, 8.0)])
OPTIONS = AugmentOptions(viewpoints=("logged", "recovery"), scene_interval=2.5, shard_scenes=1, size=(16, 16))
SCENES = [Scene(simple_log(), 40, 15, 50), Scene(random_log(3), 15, 15, 50)]


def is_same(one, other):
    """To the last bit, NaN included."""
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if is_dataclass(one):
        return all(is_same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return one == other


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A set of three parts, and its contexts."""
    folder = tmp_path_factory.mktemp("shared")
    augment([SOURCE], folder / "set", OPTIONS, workers=1)
    write_contexts([SOURCE], folder / "set", folder / "contexts", 1)
    return folder


def origins(folder):
    options = StreamOptions((Part("raster_only"), Part("recovery")), ImageFit((16, 16)), batch_size=4)
    return SampleStream(folder / "set", options).batch(0).provenance


@pytest.mark.parametrize("scene", SCENES)
def test_a_context_without_its_map_comes_back_the_same_and_scores_the_same(scene):
    context, log_map = build_context(scene), build_log_map(scene.log.road_map)
    content = sample_context_to_bytes(context, log_map)
    sample, log = log_of(content, "x")
    assert log == scene.log.name
    assert len(sample.context.scoring_map.surfaces.edges) == len(sample.context.navsim_paths.points) == 0
    again = complete_context(sample, log_map, "x")
    assert is_same(again, context)
    for policy in ("log-replay", "navsim-reactive", "lane-following"):
        a, b = (score(one, PLANS, policy=policy).metrics for one in (context, again))
        assert a.tobytes() == b.tobytes()
    assert len(content) < len(to_bytes(context, "context", 1))


def test_tracks_of_the_longer_traffic_are_stored_once():
    """One track is the same, one differs in one bit at one step, one is missing from the longer traffic."""
    context = build_context(SCENES[1])
    longer = context.long_traffic
    assert len(longer.ids) >= 2
    traffic = longer.until(41)
    poses = traffic.poses.copy()
    poses[7, 1, 0] = np.nextafter(poses[7, 1, 0], np.inf)
    traffic = replace(traffic, poses=poses, ids=(*traffic.ids[:-1], "stranger") if len(longer.ids) > 2 else traffic.ids)
    rows = shared_tracks(traffic, longer)
    assert rows[0] == 0
    assert rows[1] == -1
    assert (rows[-1] == -1) or len(longer.ids) == 2
    own = traffic.of(np.flatnonzero(rows < 0))
    assert is_same(join_tracks(own, longer, rows), traffic)
    assert (shared_tracks(traffic, longer.until(20)) == -1).all()


def test_a_store_has_one_map_per_log_and_reads_it_once(made, monkeypatch):
    assert [path.name for path in (made / "contexts" / "maps").iterdir()] == ["train-0-00000.npz"]
    reads = []
    monkeypatch.setattr(context_store, "load_log_map", lambda *place: reads.append(place) or load_log_map(*place))
    store, batch = ContextStore(made / "contexts", made / "set"), origins(made)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(store.context, batch * 4))
    assert all(context is not None for context in found)
    assert len(reads) == 1


def test_a_lost_map_is_made_again_with_the_first_part(made, tmp_path):
    folder = tmp_path / "contexts"
    shutil.copytree(made / "contexts", folder)
    log_map_path(folder, "train-0").unlink()
    (folder / "contexts.json").unlink()
    first, *rest = sorted((folder / "train").glob("*.tar"))
    before = [path.stat().st_mtime_ns for path in rest]
    write_contexts([SOURCE], made / "set", folder, 1)
    assert [path.stat().st_mtime_ns for path in rest] == before
    assert first.is_file()
    assert dataset_digest(folder) == dataset_digest(made / "contexts")


def test_a_damaged_map_is_made_again_by_what_its_error_says(made, tmp_path):
    folder = tmp_path / "contexts"
    shutil.copytree(made / "contexts", folder)
    path = log_map_path(folder, "train-0")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    origin = origins(made)[0]
    with pytest.raises(SwerveError, match="Delete this file, and run `swerve contexts` again"):
        ContextStore(folder, made / "set").context(origin)
    path.unlink()
    write_contexts([SOURCE], made / "set", folder, 1)
    assert ContextStore(folder, made / "set").context(origin) is not None


def test_an_older_store_and_a_missing_map_are_refused_in_one_line(made, tmp_path):
    folder = tmp_path / "contexts"
    shutil.copytree(made / "contexts", folder)
    info = (folder / "contexts.json").read_text()
    (folder / "contexts.json").write_text(info.replace(f'"version": {STORE_VERSION}', '"version": 4'))
    with pytest.raises(SwerveError, match=f"contexts of version 4, this is {STORE_VERSION}. Make them again") as error:
        ContextStore(folder, made / "set")
    assert "\n" not in str(error.value)
    (folder / "contexts.json").write_text(info)
    log_map_path(folder, "train-0").unlink()
    with pytest.raises(SwerveError, match="Run `swerve contexts` again"):
        ContextStore(folder, made / "set").context(origins(made)[0])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda one: replace(one, polygons=one.polygons + 10_000), "polygons"),
        (lambda one: replace(one, polygons=-1 - one.polygons), "polygons"),
        (lambda one: replace(one, tracks=one.tracks + 10_000), "tracks"),
        (lambda one: replace(one, tracks=np.full_like(one.tracks, -1)), "tracks"),
        (lambda one: replace(one, polygons=one.polygons[:-1]), "surfaces"),
        (
            lambda one: replace(
                one, context=replace(one.context, navsim_paths=replace(one.context.navsim_paths, lanes=("none",)))
            ),
            "lanes",
        ),
    ],
)
def test_indices_beyond_the_map_are_refused(change, problem):
    scene = SCENES[0]
    context, log_map = build_context(scene), build_log_map(scene.log.road_map)
    sample, _ = log_of(sample_context_to_bytes(context, log_map), "x")
    wrong = to_bytes(change(sample), "context of a sample", STORE_VERSION)
    again = from_bytes(wrong, SampleContext, "context of a sample", STORE_VERSION, "x")
    with pytest.raises(SwerveError, match=f"damaged context: {problem}"):
        complete_context(again, log_map, "x")


def test_a_damaged_map_and_a_context_of_another_map_are_refused(tmp_path):
    log_map = build_log_map(simple_log().road_map)
    (tmp_path / "maps").mkdir()
    save_log_map(tmp_path, "a", log_map)
    assert is_same(load_log_map(tmp_path, "a"), log_map)
    for wrong in (
        replace(log_map, starts=log_map.starts + 1),
        replace(log_map, lane_starts=log_map.lane_starts[::-1].copy()),
        replace(log_map, layers=log_map.layers + np.uint8(9)),
    ):
        save_archive(log_map_path(tmp_path, "a"), wrong, "map of contexts", STORE_VERSION)
        with pytest.raises(SwerveError, match="damaged map"):
            load_log_map(tmp_path, "a")
    moved = replace(log_map, edges=log_map.edges + 1.0)
    with pytest.raises(SwerveError, match="is not that of the log's map"):
        sample_context_to_bytes(build_context(SCENES[0]), moved)
