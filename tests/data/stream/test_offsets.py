"""Offsets of samples are in the manifest: shards are not searched for them, as they must be in older sets."""

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions, shard_reader
from tests.support.simple_source import SimpleSource

OPTIONS = StreamOptions((Part("raster_only"),), ImageFit((32, 24)), batch_size=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("offsets") / "set"
    options = AugmentOptions(scene_interval=2.0, viewpoints=("logged",), size=(32, 24))
    augment([SimpleSource(("train-1",))], made, options, workers=1)
    return made


def test_offsets_are_those_of_the_samples(folder, monkeypatch):
    table = pq.read_table(folder / "manifest.parquet")
    (shard,) = set(table["shard"].to_pylist())
    assert table["offset"].to_pylist() == shard_reader.sample_starts(folder / shard).tolist()

    def searched(path):
        raise AssertionError("searched for offsets")

    monkeypatch.setattr(shard_reader, "sample_starts", searched)
    assert len(SampleStream(folder, OPTIONS).batch(0)) == 2


def test_older_sets_and_rewritten_shards_are_searched(folder):
    expected = SampleStream(folder, OPTIONS).batch(0).raster
    path = folder / "manifest.parquet"
    whole, table = path.read_bytes(), pq.read_table(path)
    place, field = table.schema.get_field_index("offset"), table.schema.field("offset")
    wrong = (
        table["offset"].take(np.arange(len(table))[::-1]),
        pc.add(table["offset"], 512),
        pc.add(table["offset"], 1),
    )
    try:
        for changed in (table.drop_columns(["offset"]), *(table.set_column(place, field, one) for one in wrong)):
            pq.write_table(changed, path)
            np.testing.assert_array_equal(SampleStream(folder, OPTIONS).batch(0).raster, expected)
    finally:
        path.write_bytes(whole)
