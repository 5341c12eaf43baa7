"""Sets that store what rasters are drawn of, and streams that draw them."""

import shutil

import numpy as np
import pytest

from swerve.data.dataset import AugmentOptions, augment, dataset_digest, read_samples
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions, stored_raster_renderer
from swerve.scenes import SwerveError
from tests.support.photographed_source import PhotographedSource, write_photo

PARTS = (Part("paired", 1.0, "both"), Part("raster_only"), Part("recovery"), Part("cross_agent"))
# The look of the images is the set's, too.
LOOK = {"scene_interval": 2.0, "style": "surfaces", "supersampling": 2, "shard_scenes": 2}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """The same set with its rasters, and with what they are drawn of. Photographs are taken a little after now."""
    folder = tmp_path_factory.mktemp("drawing")
    write_photo(folder)
    source = PhotographedSource(("train-0-photos", "train-1"), str(folder))
    for rasters in ("images", "primitives"):
        augment([source], folder / rasters, AugmentOptions(rasters=rasters, **LOOK), workers=1)
    return source, folder / "images", folder / "primitives"


def stream_of(folder, cameras=(), size=(64, 36)):
    return SampleStream(folder, StreamOptions(PARTS, ImageFit(size), cameras, batch_size=12))


@pytest.mark.parametrize(("cameras", "size"), [((), (64, 36)), (("back", "front"), (40, 30)), (("back",), (64, 36))])
def test_drawn_rasters_are_the_stored_ones(sets, cameras, size):
    # Photographs are of the front camera alone.
    parts = PARTS[1:] if cameras == ("back",) else PARTS
    options = StreamOptions(parts, ImageFit(size), cameras, batch_size=12)
    stored, drawn = (SampleStream(folder, options).batch(1) for folder in sets[1:])
    assert stored.raster.any(axis=(2, 3, 4)).all()
    np.testing.assert_array_equal(drawn.raster, stored.raster)
    np.testing.assert_array_equal(drawn.has_raster, stored.has_raster)
    np.testing.assert_array_equal(drawn.has_photo, stored.has_photo)
    if stored.photo is not None:
        np.testing.assert_array_equal(drawn.photo, stored.photo)
    assert [one.key for one in drawn.provenance] == [one.key for one in stored.provenance]


def test_without_rasters_a_set_is_smaller_and_has_everything_else(sets):
    _, stored, drawn = sets
    for one, other in zip(read_samples(stored, "train"), read_samples(drawn, "train"), strict=True):
        assert set(one) - set(other) == {f"{entry['member']}.png" for entry in one["json"]["cameras"]}
        assert one["json"] == other["json"]
    assert len(list((drawn / "static").iterdir())) == 2
    assert not (stored / "static").exists()


def test_a_lost_map_is_told_and_made_again(sets, tmp_path):
    folder = shutil.copytree(sets[2], tmp_path / "set")
    before = dataset_digest(folder)
    for path in (folder / "static").iterdir():
        path.unlink()
    with pytest.raises(SwerveError, match=r"static.*train-.*00000\.npz.*Run the job that made the set again"):
        stream_of(folder).batch(0)
    augment([sets[0]], folder, AugmentOptions(rasters="primitives", **LOOK), workers=1)
    assert dataset_digest(folder) == before
    stream_of(folder).batch(0)


def test_only_the_last_logs_are_kept(sets, monkeypatch):
    read, load = [], stored_raster_renderer.load_static
    monkeypatch.setattr(stored_raster_renderer, "_KEPT", 1)
    monkeypatch.setattr(
        stored_raster_renderer, "load_static", lambda folder, log: read.append(log) or load(folder, log)
    )
    stream = stream_of(sets[2])
    read.clear()
    batch = stream.batch(0)
    logs = [one.log for one in batch.provenance]
    changes = [log for row, log in enumerate(logs) if row == 0 or logs[row - 1] != log]
    assert set(read) <= set(logs)
    assert len(read) in (len(changes), len(changes) - 1)


def test_other_images_are_not_drawn_later():
    with pytest.raises(SwerveError, match="extra_outputs: depth needs stored rasters"):
        AugmentOptions(rasters="primitives", extra_outputs=("depth",))
