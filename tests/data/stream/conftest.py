import pytest

from swerve.data.dataset import AugmentOptions, augment
from tests.support.photographed_source import PhotographedSource, write_photo


@pytest.fixture(scope="session")
def small_set(tmp_path_factory):
    """The folder of a set of two logs, the first with photographs of its front camera; images of 64x36."""
    folder = tmp_path_factory.mktemp("stream")
    write_photo(folder)
    source = PhotographedSource(("train-0-photos", "train-1"), str(folder))
    augment([source], folder / "set", AugmentOptions(scene_interval=1.0, shard_scenes=4), workers=1)
    return folder / "set"
