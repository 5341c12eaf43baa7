"""Batches against the plain reader of sets, and the batches' order over steps, ranks and stops."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swerve.data.dataset import camera_from_ego, camera_of, read_samples
from swerve.data.dataset.shards import Sample, ShardWriter
from swerve.data.stream import KINDS, ImageFit, Part, SampleStream, StreamLoader, StreamOptions
from swerve.scenes import Lens, LensModel, SwerveError
from swerve.scenes.viewpoints import Command
from tests.support.photographed_source import write_photo
from tests.support.stream_child import digest, options

NATIVE = ImageFit((64, 36))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}


@pytest.fixture(scope="module")
def known(small_set):
    return {sample["key"]: sample for sample in read_samples(small_set, "train")}


@pytest.fixture(scope="module")
def native(small_set):
    """A batch of both cameras at the size that they are stored in."""
    return SampleStream(small_set, options(fit=NATIVE, cameras=("back", "front"))).batch(1)


def test_rows_are_the_samples_of_the_set(native, known):
    assert native.raster.dtype == np.uint8
    for row, origin in enumerate(native.provenance):
        sample = known[origin.key]
        details, numbers = sample["json"], sample["npz"]
        given = (details["source"], details["log"], details["token"], details["kind"], details["index"])
        assert given == (origin.source, origin.log, origin.token, origin.kind.value, origin.index)
        assert KINDS[native.kind[row]] is origin.kind
        assert Command(int(native.command[row])).name.lower() == details["command"]
        assert native.vehicle[row, 3] == np.float32(details["vehicle"]["wheelbase"])
        assert native.speed[row] == pytest.approx(np.hypot(*numbers["history_velocity"][-1]))
        for name in ("history_pose", "history_valid", "target_2hz", "target_10hz_valid", "history_yaw_rate"):
            np.testing.assert_array_equal(getattr(native, name)[row], numbers[name])
        for name in ("history_time", "time_2hz", "time_10hz"):
            np.testing.assert_array_equal(getattr(native, name), numbers[name])
        for column, camera in enumerate(("back", "front")):
            np.testing.assert_array_equal(native.raster[row, column].transpose(1, 2, 0), sample[f"{camera}.png"])
    assert native.has_raster.all()


def test_weights_are_those_of_the_manifest(small_set, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(small_set, folder)
    table = pq.read_table(folder / "manifest.parquet")
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(table))
    place = table.schema.get_field_index("weight")
    pq.write_table(table.set_column(place, "weight", pa.array(weights)), folder / "manifest.parquet")
    batch = SampleStream(folder, options(fit=NATIVE)).batch(0)
    of = dict(zip(table["key"].to_pylist(), weights, strict=True))
    np.testing.assert_allclose(batch.weight, [of[one.key] for one in batch.provenance], rtol=1e-6)


def test_photographs_are_there_where_the_mask_says(native, tmp_path):
    """Only the front cameras of the paired rows have one; it is the file's picture at half its size."""
    paired = native.part == 0
    np.testing.assert_array_equal(native.has_photo, np.stack([np.zeros_like(paired), paired], axis=1))
    assert not native.photo[~native.has_photo].any()
    pixels = write_photo(tmp_path).reshape(36, 2, 64, 2, 3).mean(axis=(1, 3))
    for image in native.photo[native.has_photo]:
        assert np.abs(image.transpose(1, 2, 0) - pixels).mean() < 2.0


@pytest.mark.parametrize("fit", [NATIVE, ImageFit((50, 20), (0.1, 0.0, 0.0, 0.2))])
def test_cameras_project_as_the_json_says(small_set, known, fit):
    """Oracle: the set's documented formula. Photographs are taken later than now, from further on."""
    batch = SampleStream(small_set, options(fit=fit, cameras=("back", "front"))).batch(0)
    points = np.random.default_rng(0).uniform((-60, -20, 0), (60, 20, 4), (200, 3))
    moved = 0
    for row, origin in enumerate(batch.provenance):
        entries = {entry["name"]: entry for entry in known[origin.key]["json"]["cameras"]}
        for column, name in enumerate(("back", "front")):
            entry = entries[name]
            camera = fit.camera(camera_of(entry))
            there = points @ camera_from_ego(entry)[:3, :3].T + camera_from_ego(entry)[:3, 3]
            pixels, _, visible = camera.project(there)
            assert batch.cameras.lens[row, column] == int(camera.lens.model)
            assert batch.cameras.limit[row, column] == pytest.approx(camera.lens.limit)
            place = batch.cameras.ego_from_camera[row, column]
            here = (points - place[:3, 3]) @ place[:3, :3]
            fx, fy, cx, cy = batch.cameras.intrinsics[row, column]
            with np.errstate(divide="ignore", invalid="ignore"):
                projected = here[:, :2] / here[:, 2:] * [fx, fy] + [cx, cy]
            np.testing.assert_allclose(projected[visible], pixels[visible], atol=0.01)
            assert visible.any()
            moved += entry["time_us"] != known[origin.key]["json"]["time_us"]
    assert batch.cameras.size == fit.size
    assert moved == 2


def test_lenses_are_passed_on():
    from swerve.data.sources.town.rig import town_rig
    from swerve.data.stream import camera_arrays

    lens = Lens(LensModel.BROWN, (-0.1, 0.02, 0.001, 0.002))
    cameras = [replace(camera.resized(64, 36), lens=lens) for camera in town_rig()][:3]
    arrays = camera_arrays([cameras, cameras[::-1]])
    np.testing.assert_allclose(arrays.coefficients[1, 2], [-0.1, 0.02, 0.001, 0.002, 0, 0, 0, 0], atol=1e-8)
    assert (arrays.lens == int(LensModel.BROWN)).all()
    assert arrays.limit[0, 0] == pytest.approx(lens.limit)
    with pytest.raises(ValueError, match="cameras of one size"):
        camera_arrays([[cameras[0], cameras[1].resized(32, 18)]])


def test_parts_are_what_they_say_and_held_in_every_batch(small_set, known):
    stream = SampleStream(small_set, options())
    for step in range(5):
        rows, parts = stream.rows(step)
        assert Counter(parts.tolist()) == {0: 2, 1: 1, 2: 2, 3: 1}
        for origin, part in zip(stream.batch(step).provenance, parts, strict=True):
            photos = any(entry["photo"] for entry in known[origin.key]["json"]["cameras"])
            kind = origin.kind.value
            names = {"logged": "paired" if photos else "raster_only"}
            assert names.get(kind, kind) == stream.options.parts[part].name
        assert len(rows) == 6


def test_each_part_passes_over_all_its_samples_in_its_own_time(small_set, known):
    stream = SampleStream(small_set, options())
    kinds = Counter(sample["json"]["kind"] for sample in known.values())
    for part, kind in ((2, "recovery"), (3, "cross_agent")):
        name, count = stream.options.parts[part].name, stream.options.counts[part]
        assert stream.steps_per_epoch[name] == kinds[kind] / count
        steps = [stream.rows(step) for step in range(kinds[kind])]
        seen = Counter(row for rows, parts in steps for row in np.array(rows)[parts == part].tolist())
        # After as many steps as there are samples, `count` passes are over.
        assert set(seen.values()) == {count}
        assert len(seen) == kinds[kind]


def test_ranks_do_not_overlap_and_make_up_the_whole(small_set):
    parts = (Part("recovery"),)
    whole = SampleStream(small_set, options(parts=parts, batch_size=4))
    halves = [SampleStream(small_set, options(parts=parts, batch_size=2), rank, 2) for rank in (0, 1)]
    for step in range(4):
        assert [row for half in halves for row in half.rows(step)[0]] == whole.rows(step)[0]
    assert halves[0].steps_per_epoch == whole.steps_per_epoch


def test_images_that_nobody_wants_are_not_made(small_set):
    stream = SampleStream(small_set, options(parts=(Part("paired", 1.0, "photo"), Part("recovery"))))
    batch = stream.batch(0)
    np.testing.assert_array_equal(batch.has_photo[:, 0], batch.part == 0)
    np.testing.assert_array_equal(batch.has_raster[:, 0], batch.part == 1)
    assert SampleStream(small_set, options(parts=(Part("recovery"),))).batch(0).photo is None


def test_a_stopped_stream_goes_on_where_it_was(small_set):
    torch = pytest.importorskip("torch", reason="torch is an extra")
    stream = SampleStream(small_set, options())
    torch.manual_seed(7)
    drawn = torch.rand(1)
    torch.manual_seed(7)
    undisturbed = [digest(batch) for batch in StreamLoader(stream, 9)]
    assert torch.rand(1) == drawn
    loader = StreamLoader(stream, 9)
    first = [digest(batch) for batch, _ in zip(loader, range(4), strict=False)]
    state = json.loads(json.dumps(loader.state_dict()))
    again = StreamLoader(SampleStream(small_set, options()), 9)
    again.load_state_dict(state)
    # `zip` took a fifth batch out before it saw that the range was over.
    assert state["step"] == 5
    assert first + undisturbed[4:5] + [digest(batch) for batch in again] == undisturbed
    assert len(set(undisturbed)) == 9


def test_killed_with_workers_it_goes_on_as_if_nothing_had_been(small_set):
    """A process with two workers is killed; what it made, and what is made from there on without workers, is the same
    as from an undisturbed run."""
    pytest.importorskip("torch", reason="torch is an extra")
    script = Path(__file__).parent.parent.parent / "support" / "stream_child.py"
    child = subprocess.Popen(
        [sys.executable, str(script), str(small_set), "1000", "2"], stdout=subprocess.PIPE, start_new_session=True
    )
    lines = [child.stdout.readline().decode().split() for _ in range(5)]
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    stream = SampleStream(small_set, options())
    assert lines == [[str(step), digest(stream.batch(step))] for step in range(5)]
    loader = StreamLoader(stream, 7)
    loader.load_state_dict({**loader.state_dict(), "step": 5})
    assert [digest(batch) for batch in loader] == [digest(stream.batch(step)) for step in (5, 6)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "cannot be resumed: seed was 0, is 1"),
        ({"batch_size": 12}, "batch_size was 6, is 12"),
        ({"cameras": ("back",)}, r"cameras was \['front'\], is \['back'\]"),
    ],
)
def test_another_stream_does_not_go_on(small_set, changes, message):
    pytest.importorskip("torch", reason="torch is an extra")
    state = StreamLoader(SampleStream(small_set, options()), 9).state_dict()
    other = StreamLoader(SampleStream(small_set, options(**{"parts": (Part("recovery"),), **changes})), 9)
    other_parts = StreamLoader(SampleStream(small_set, options(**changes)), 9)
    with pytest.raises(SwerveError, match=message):
        other_parts.load_state_dict(state)
    with pytest.raises(SwerveError, match="cannot be resumed"):
        other.load_state_dict(state)


def test_what_is_not_there_is_told(small_set, tmp_path):
    def opened(folder=small_set, **changes):
        return SampleStream(folder, options(**changes))

    with pytest.raises(SwerveError, match=r"no manifest\.parquet: not a finished set"):
        opened(tmp_path)
    with pytest.raises(SwerveError, match=r"no such folder\. A set is an output folder of swerve augment"):
        opened(tmp_path / "nowhere")
    with pytest.raises(SwerveError, match=f"a part of one: give its folder, {small_set}"):
        opened(small_set / "train")
    with pytest.raises(SwerveError, match="workers: -1 must be 0 or more"):
        StreamLoader(opened(), 1, workers=-1)
    with pytest.raises(SwerveError, match=r"no samples of split 'val'; there are of train"):
        opened(split="val")
    with pytest.raises(SwerveError, match=r"has no camera 'top'; it has front, back\. Choose"):
        opened(cameras=("front", "top"))
    parts = (Part("recovery", 1.0, "photo"),)
    with pytest.raises(SwerveError, match=r"part 'recovery' requests photos, and sample .* has none"):
        opened(parts=parts).batch(0)
    (tmp_path / "manifest.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(SwerveError, match="cannot be read"):
        opened(tmp_path)


def test_a_part_without_samples_is_told(small_set, tmp_path):
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(small_set / "manifest.parquet")
    pq.write_table(table.filter(pc.not_equal(table["kind"], "recovery")), tmp_path / "manifest.parquet")
    with pytest.raises(SwerveError, match=r"has no samples of part 'recovery'; it has 6 paired, 6 raster_only, \d+ cr"):
        SampleStream(tmp_path, options())


def rewritten(small_set, folder, change):
    """A copy of the set whose samples went through `change(members)`."""
    from swerve.data.dataset.shards import read_shard
    from swerve.data.storage.files import commit

    shutil.copytree(small_set, folder)
    for path in (folder / "train").glob("*.tar"):
        samples = list(read_shard(path))
        with ShardWriter(path, "train") as writer:
            for key, members in samples:
                writer.add(Sample(key, "train", change(members), {}))
            writer.finish()
        commit(path)
    return folder


def test_shards_of_another_format_are_refused(small_set, tmp_path):
    def older(members):
        details = {**json.loads(members["json"]), "format": 0, "version": "0.0.1"}
        return {**members, "json": json.dumps(details).encode()}

    folder = rewritten(small_set, tmp_path / "set", older)
    words = r"is of format 0, this program reads 4\. Create the set again.* Swerve 0\.0\.1"
    with pytest.raises(SwerveError, match=words):
        SampleStream(folder, options())
    with pytest.raises(SwerveError, match=words):
        list(read_samples(folder, "train"))


@pytest.mark.parametrize("member", ["json", "npz", "front.png"])
def test_a_damaged_member_is_told(small_set, tmp_path, member):
    pytest.importorskip("torch", reason="torch is an extra")

    def broken(members):
        return {**members, member: members[member][: len(members[member]) // 2]}

    folder = rewritten(small_set, tmp_path / "set", broken)
    with pytest.raises(SwerveError, match=rf"({member} of sample .* is damaged|\.{member}: ).*Delete the shard"):
        list(StreamLoader(SampleStream(folder, options()), 1))


def test_options_are_checked_without_torch():
    """The stream itself needs no torch."""
    code = "import sys, swerve.data.stream; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert StreamOptions((Part("paired"),), NATIVE).counts == (16,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("{'parts': 'recovery'}", r"parts: 'recovery' is not a tuple of Part, as in"),
        ("{'parts': Part('recovery')}", r"parts: Part\(.*is not a tuple of Part"),
        ("{'parts': ('recovery',)}", "is not a tuple of Part"),
        ("{'fit': (192, 112)}", r"fit: \(192, 112\) is not an ImageFit, as in ImageFit"),
        ("{'batch_size': 2.0}", r"batch_size: 2\.0 is not a whole number"),
        ("{'cameras': 'front'}", r"cameras: 'front' is one text, not a tuple, as in \('front',\)"),
    ],
)
def test_options_of_another_type_are_told(changes, message):
    """In a process of its own, which has no checks of types as the tests have."""
    code = "from swerve.data.stream import ImageFit, Part, StreamOptions\n" + (
        f"StreamOptions(**{{'parts': (Part('paired'),), 'fit': ImageFit((64, 36)), **{changes}}})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert re.search(message, run.stderr.splitlines()[-1])


@pytest.mark.parametrize(("rank", "world"), [(1, 1), (-1, 2), (0, 0)])
def test_a_rank_beyond_the_number_of_processes_is_told(small_set, rank, world):
    with pytest.raises(SwerveError, match=rf"rank: {rank} of {world} processes: ranks are 0 to"):
        SampleStream(small_set, options(), rank, world)


def test_a_script_without_main_guard_is_told(small_set, tmp_path):
    """Its worker processes import it, and end at once."""
    pytest.importorskip("torch", reason="torch is an extra")
    script = tmp_path / "script.py"
    script.write_text(
        "from tests.support.stream_child import options\n"
        "from swerve.data.stream import SampleStream, StreamLoader\n"
        f"next(iter(StreamLoader(SampleStream({str(small_set)!r}, options()), 2, 1)))\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert run.returncode == 1
    assert 'put what it does below if __name__ == "__main__":' in run.stderr.splitlines()[-1]


def test_a_worker_that_dies_is_told(small_set):
    """As the system ends it when memory runs out. Batches are asked for in a thread, as training does."""
    pytest.importorskip("torch", reason="torch is an extra")
    batches = iter(StreamLoader(SampleStream(small_set, options()), 1000, 1))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(next, batches).result()
        (worker,) = multiprocessing.active_children()
        worker.kill()
        with pytest.raises(
            SwerveError, match=r"a worker process of the loader ended .*fewer workers or a smaller batch"
        ):
            pool.submit(list, batches).result()


def test_bug_a6b_photographs_count_by_what_the_sample_says(small_set, tmp_path):
    """The original takes any photograph that lies there, and so pairs recovery rasters with the logged pose's."""

    def planted(members):
        photo = next(iter(members.values()))
        return {**members, "front.photo.png": photo} if b'"recovery"' in members["json"] else members

    folder = rewritten(small_set, tmp_path / "set", planted)
    with pytest.raises(SwerveError, match=r"part 'recovery' requests photos, and sample .* has none"):
        SampleStream(folder, options(parts=(Part("recovery", 1.0, "both"),))).batch(0)
