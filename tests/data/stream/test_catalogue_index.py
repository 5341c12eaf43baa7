"""The index of a set says what its manifest says, and where it is damaged or of another manifest, it says nothing."""

import logging
import pickle
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swerve.data.dataset import read_index, set_index
from swerve.data.dataset.manifest import SCHEMA
from swerve.data.dataset.set_index import INDEX, write_index
from swerve.data.jobs.folder_locks import lock_job
from swerve.data.jobs.verify import remove_damaged, verify_folder
from swerve.data.storage.fsspec_store import open_store
from swerve.data.storage.stored_folder import local_folder
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions, catalogue
from swerve.data.stream.catalogue import read_catalogue
from swerve.scenes import SwerveError

SPLITS = ("train", "val", "test")
KINDS = ("logged", "recovery", "cross_agent", "follow_up", "visited")


def manifest_rows(random, shards, most=9):
    """Return rows of made-up shards, whose splits are mixed as those of logs sorted by name are."""
    rows = []
    for shard in range(shards):
        split, log = str(random.choice(SPLITS, p=(0.6, 0.3, 0.1))), f"log {shard // 2} é"
        known, count = bool(random.random() < 0.8), int(random.integers(1, most + 1))
        for number in range(count):
            own = {name: _zero(SCHEMA.field(name).type) for name in SCHEMA.names}
            own |= {"key": f"log{shard:04d}-{number}" + "ü" * int(random.integers(3)), "log": f"{split} {log}"}
            own |= {"shard": f"{split}/log-{shard:05d}.tar", "split": split, "kind": str(random.choice(KINDS))}
            own |= {"photos": int(random.integers(3)), "weight": float(random.random())}
            rows.append({**own, "offset": 512 * number * 7 if known else -1})
    return rows


def _zero(kind):
    return "" if kind == pa.string() else 0


def write_set(folder, rows, group=50):
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, SCHEMA)
    pq.write_table(table, folder / "manifest.parquet", row_group_size=group, compression="zstd")
    write_index(folder / "manifest.parquet", folder / INDEX)


def contents(folder, split):
    """Return all that a catalogue says, in plain values."""
    found = read_catalogue(folder, split)
    rows = range(len(found))
    parts = {name: [int(row) for row in own] for name, own in found.parts.items()}
    where, weights = [found.where(row) for row in rows], [found.weight(row) for row in rows]
    return where, weights, parts, found.logs, found.digest, found.keys.to_pylist()


def by_hand(rows, split):
    """Return what rows of a manifest say, one after the other."""
    own, where = [row for row in rows if row["split"] == split], []
    for place, row in enumerate(own):
        same = place > 0 and own[place - 1]["shard"] == row["shard"]
        ends = place + 1 < len(own) and own[place + 1]["shard"] == row["shard"]
        end = own[place + 1]["offset"] if ends else -1
        where.append((row["shard"], where[-1][1] + 1 if same else 0, row["key"], row["offset"], end))
    return where, [row["weight"] for row in own]


@pytest.fixture
def only_index(monkeypatch):
    """Let no catalogue be read from a manifest."""

    def refuse(folder, split):
        raise AssertionError("read the manifest")

    monkeypatch.setattr(catalogue, "_read", refuse)


@pytest.fixture
def small_batches(monkeypatch):
    for module in (set_index, read_index):
        monkeypatch.setattr(module, "BATCH_ROWS", 16)


@pytest.mark.parametrize("seed", range(12))
def test_the_index_says_what_the_manifest_says(tmp_path, monkeypatch, small_batches, seed):
    random = np.random.default_rng(seed)
    rows = manifest_rows(random, int(random.integers(1, 40)), int(random.choice([1, 9, 40])))
    write_set(tmp_path, rows, int(random.choice([1, 7, 16, 1000])))
    there = {row["split"] for row in rows}
    plain = dict[str, tuple]()
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "open_index", lambda *_: None)
        plain = {split: contents(tmp_path, split) for split in there}
        missing = {split: _error(tmp_path, split) for split in {*SPLITS} - there}
    monkeypatch.setattr(catalogue, "_read", None)
    for split, wanted in plain.items():
        found = contents(tmp_path, split)
        assert found == wanted
        assert found[:2] == by_hand(rows, split)
    assert {split: _error(tmp_path, split) for split in {*SPLITS} - there} == missing


def _error(folder, split):
    with pytest.raises(SwerveError, match="no samples of split") as caught:
        read_catalogue(folder, split)
    return str(caught.value)


def test_bytes_do_not_depend_on_row_groups(tmp_path, small_batches):
    rows = manifest_rows(np.random.default_rng(1), 20)
    for name, group in (("one", 3), ("two", 1000)):
        write_set(tmp_path / name, rows, group)
    bodies = [
        [
            batch.to_pylist()
            for batch in pa.ipc.open_file((tmp_path / name / INDEX).read_bytes()).read_all().to_batches()
        ]
        for name in ("one", "two")
    ]
    assert bodies[0] == bodies[1]
    before = (tmp_path / "one" / INDEX).read_bytes()
    write_set(tmp_path / "one", rows, 3)
    assert (tmp_path / "one" / INDEX).read_bytes() == before


def test_damage_gives_no_wrong_rows(tmp_path, small_batches):
    rows = manifest_rows(np.random.default_rng(2), 12)
    write_set(tmp_path, rows)
    whole, random, outcomes = (tmp_path / INDEX).read_bytes(), np.random.default_rng(3), set()
    wanted = contents(tmp_path, "train")
    for case in range(400):
        damaged = bytearray(whole)
        if case % 8:
            damaged[random.integers(len(whole))] ^= 1 << int(random.integers(8))
        else:
            del damaged[random.integers(len(whole)) :]
        (tmp_path / INDEX).write_bytes(damaged)
        found, told = _tried(tmp_path)
        assert found == wanted if not told else told.startswith(f"{tmp_path / INDEX}: rows: batch")
        outcomes.add(bool(told))
    assert outcomes == {True, False}, "some are refused, some read from the manifest or not of this split"


def _tried(folder):
    """Return what the catalogue says, and the message of the error instead."""
    try:
        return contents(folder, "train"), ""
    except SwerveError as error:
        return None, str(error)


def test_an_index_of_another_manifest_is_not_used(tmp_path, caplog):
    rows = manifest_rows(np.random.default_rng(4), 9)
    write_set(tmp_path, rows)
    table = pa.Table.from_pylist([{**row, "weight": row["weight"] + 1} for row in rows], SCHEMA)
    pq.write_table(table, tmp_path / "manifest.parquet", compression="zstd")
    with caplog.at_level(logging.WARNING, logger="swerve"):
        found = read_catalogue(tmp_path, "train")
    assert found.weight(0) > 1
    assert f"{tmp_path / INDEX}: not used (it is of another manifest.parquet" in caplog.text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weight": -1.0}, "a weight is negative"),
        ({"weight": float("nan")}, "a weight is negative"),
        ({"shard": 99}, "a shard is not known"),
        ({"shard": -1}, "a shard is not known"),
    ],
)
def test_values_out_of_bounds_are_refused(tmp_path, change, reason):
    write_set(tmp_path, manifest_rows(np.random.default_rng(5), 9))
    _rewrite(tmp_path / INDEX, change)
    with pytest.raises(SwerveError, match=reason):
        read_catalogue(tmp_path, "train").where(0)


def test_codes_of_parts_out_of_bounds_are_not_used(tmp_path, caplog):
    write_set(tmp_path, manifest_rows(np.random.default_rng(6), 9))
    wanted = contents(tmp_path, "train")
    _rewrite(tmp_path / INDEX, {"part": 100})
    assert contents(tmp_path, "train") == wanted
    assert "parts are missing or not known" in caplog.text


def _rewrite(path, change):
    """Change values of each batch's first row, with right checksums."""
    reader = pa.ipc.open_file(path.read_bytes())
    with pa.ipc.new_file(path, reader.schema) as out:
        for number in range(reader.num_record_batches):
            rows = reader.get_batch(number).to_pylist()
            batch = pa.RecordBatch.from_pylist([{**rows[0], **change}, *rows[1:]], reader.schema)
            batch = pa.ipc.read_record_batch(batch.serialize(), reader.schema)
            out.write_batch(batch, {name: str(crc) for name, crc in set_index.checksums(batch).items()})


def test_another_process_maps_the_file_anew(tmp_path, only_index):
    rows = manifest_rows(np.random.default_rng(7), 400)
    write_set(tmp_path, rows)
    found = read_catalogue(tmp_path, "train")
    sent = pickle.dumps(found)
    assert len(sent) < 1000 < len(found)
    again = pickle.loads(sent)
    assert [again.where(row) for row in range(20)] == [found.where(row) for row in range(20)]
    write_set(tmp_path, rows[40:])
    with pytest.raises(SwerveError, match="has changed since it was opened"):
        pickle.loads(sent)


def test_a_job_writes_the_index_and_verify_checks_it(small_set, tmp_path, only_index):
    folder = tmp_path / "set"
    shutil.copytree(small_set, folder)
    assert len(read_catalogue(folder, "train")) > 4
    assert not verify_folder(folder).damages
    content = bytearray((folder / INDEX).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / INDEX).write_bytes(content)
    damages = verify_folder(folder).damages
    assert [one.path for one in damages] == [INDEX]
    assert {path.name for path in remove_damaged(folder, damages)} == {INDEX, "manifest.parquet"}
    with lock_job(folder):
        assert not (folder / INDEX).exists()


def test_a_set_in_a_store_has_its_index_mapped(small_set, tmp_path, monkeypatch, only_index):
    monkeypatch.setenv("SWERVE_CACHE", str(tmp_path / "cache"))
    store = open_store("memory://indexed/set")
    for path in sorted(path for path in small_set.rglob("*") if path.is_file()):
        store.put(path.relative_to(small_set).as_posix(), path)
    assert contents(local_folder(store.url), "train") == contents(small_set, "train")
    options = StreamOptions((Part("raster_only"),), ImageFit((32, 24)), batch_size=2)
    batches = [SampleStream(place, options).batch(0) for place in (store.url, small_set)]
    np.testing.assert_array_equal(batches[0].raster, batches[1].raster)
