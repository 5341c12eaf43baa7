"""Functions that packages export take folders and files as text or as Path alike."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest

import swerve
from swerve.data import open_source
from swerve.data.dataset import dataset_digest
from swerve.scenes import SwerveError
from tests.support.rooms import ROOMS, ROOT

PACKAGES = [
    "swerve",
    *(
        "swerve." + ".".join(path.parent.relative_to(ROOT).parts)
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("__init__.py"))
        if room != "swerve" and "__all__" in path.read_text()
    ),
]


@pytest.mark.parametrize("package", PACKAGES)
def test_exported_functions_take_text_and_paths(package):
    """Annotations tell; what is only a record of data, such as a photo's file, is a class."""
    module = import_module(package)
    for name in module.__all__:
        try:
            function = getattr(module, name)
        except ImportError:
            continue  # an optional package is not installed
        if inspect.isfunction(function):
            for parameter in inspect.signature(function).parameters.values():
                wanted = str(parameter.annotation)
                assert "pathlib.Path" not in wanted or "str" in wanted, f"{name}({parameter.name})"


def test_sources_are_opened_by_paths(tmp_path):
    with pytest.raises(SwerveError, match="kind of source not recognised"):
        open_source(tmp_path)
    with pytest.raises(SwerveError, match=r"give a list, as in \['town:1'\]"):
        swerve.augment("town:1", tmp_path)
    with pytest.raises(SwerveError, match="kind of source not recognised"):
        swerve.augment([tmp_path], str(tmp_path / "out"))


def test_digests_are_of_folders_given_either_way(tmp_path):
    (tmp_path / "manifest.parquet").write_bytes(b"rows")
    assert dataset_digest(str(tmp_path)) == dataset_digest(Path(tmp_path))
