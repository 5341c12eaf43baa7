"""nuPlan and NAVSIM files that the official code loads, and what it answered: unpacked for tests."""

import gzip
import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.support.rooms import ROOT


def nuplan_archives() -> Path:
    """Return the folder of archives and answers; skip the test where there is none."""
    folder = Path(os.environ.get("SWERVE_TEST_DATA", ROOT.parent / "shared")) / "nuplan"
    if not (folder / "maps.tar.gz").is_file():
        pytest.skip(
            f"no nuPlan archives at {folder}: set SWERVE_TEST_DATA to a folder that has nuplan/maps.tar.gz, ..."
        )
    return folder


def unpack(archives: Path, into: Path) -> Path:
    """Unpack all archives into one folder: maps, nuplan/splits, navsim_logs, sensor_blobs, navhard_two_stage."""
    for archive in sorted(archives.glob("*.tar.gz")):
        with tarfile.open(archive) as packed:
            packed.extractall(into, filter="data")
    return into


def answers_in(archives: Path, pattern: str) -> dict[str, dict]:
    """Return the official answers whose file names match, by file name without suffixes."""
    files = sorted((archives / "answers").glob(f"{pattern}.json.gz"))
    return {file.name.removesuffix(".json.gz"): json.loads(gzip.decompress(file.read_bytes())) for file in files}
