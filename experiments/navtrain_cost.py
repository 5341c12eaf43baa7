"""Estimate what a training set of navtrain costs: `python -m experiments.navtrain_cost ROOT [--workers 2]`.

Augments the NAVSIM logs in ROOT in several forms, counts bytes and seconds per logged scene, and multiplies them by the
103,288 scenes of navtrain. Photos are left out: they are the data set's own files, byte by byte. The training cache of
RAP is what its code stores, by arithmetic: the tensors of four cameras (3, 448, 768) in float32, of photo and of
raster, for each of 565,500 samples, before compression.
"""

import argparse
import os
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import report
from swerve import AugmentOptions, augment

SCENES: Final = 103_288
RAP_SAMPLES, RAP_BYTES = 565_500, 2 * 4 * 3 * 448 * 768 * 4
# Tar archives consist of blocks, a header's among them.
_BLOCK: Final = 512
_FOUR = ("cam_b0", "cam_f0", "cam_l0", "cam_r0")
FORMS = {
    "8 cameras, 1920x1080 PNG": AugmentOptions(size=(1920, 1080)),
    "8 cameras, 960x540 PNG": AugmentOptions(size=(960, 540)),
    "4 cameras, 768x448 PNG": AugmentOptions(size=(768, 448), cameras=_FOUR),
    "drawn while training": AugmentOptions(size=(768, 448), cameras=_FOUR, rasters="primitives"),
}


@dataclass(frozen=True)
class Cost:
    """Cost of a set: logged scenes, samples of all kinds, bytes without photos, CPU seconds."""

    scenes: int
    samples: int
    bytes: int
    core_seconds: float

    def of(self, scenes: int) -> dict[str, float]:
        """The cost of so many scenes, if they are like these."""
        share = scenes / self.scenes
        return {
            "samples": round(self.samples * share),
            "TB": self.bytes * share / 1e12,
            "core hours": self.core_seconds * share / 3600,
        }


def photo_bytes(archives: Iterable[Path]) -> int:
    """Bytes of the photos in archives, in blocks as they are stored."""
    total = 0
    for file in archives:
        with tarfile.open(file) as archive:
            total += sum(_stored(one.size) for one in archive if ".photo." in one.name)
    return total


def _stored(size: int) -> int:
    return _BLOCK * (1 + -(-size // _BLOCK))


def measured(root: str, options: AugmentOptions, workers: int) -> Cost:
    """Augment all logs, and count."""
    with tempfile.TemporaryDirectory() as folder:
        out, start = Path(folder) / "set", _computed()
        made = augment([f"navsim:{root}"], out, options, workers)
        seconds = _computed() - start
        kinds = made.summary["samples_by_kind"]
        size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
        size -= photo_bytes(out.rglob("*.tar"))
    return Cost(kinds["logged"], sum(kinds.values()), size, seconds)


def _computed() -> float:
    """CPU seconds of this process and of its ended workers, which other programs on the cores do not lengthen."""
    return sum(os.times()[:4])


def row(form: str, cost: Cost) -> dict[str, Any]:
    """A row of the table: what was measured, and what follows for navtrain."""
    return {
        "form": form,
        "scenes": cost.scenes,
        "samples/scene": cost.samples / cost.scenes,
        "kB/sample": cost.bytes / cost.samples / 1e3,
        "samples/s and core": cost.samples / cost.core_seconds,
        **{f"navtrain: {name}": value for name, value in cost.of(SCENES).items()},
    }


def main(arguments: Sequence[str]) -> int:
    """Measure all forms."""
    parser = argparse.ArgumentParser(prog="python -m experiments.navtrain_cost", description=__doc__)
    parser.add_argument("root", help="data: navsim_logs, maps, sensor_blobs")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    args = parser.parse_args(arguments)
    # Compiles the kernels, which the first form would pay for.
    measured(args.root, FORMS["drawn while training"], args.workers)
    rows = [row(form, measured(args.root, options, args.workers)) for form, options in FORMS.items()]
    size = RAP_SAMPLES * RAP_BYTES / 1e12
    rap = f"RAP's training cache: {RAP_SAMPLES} samples of {RAP_BYTES / 1e6:.0f} MB, {size:.1f} TB"
    report("navtrain_cost", "A training set of navtrain, extrapolated", rows, [rap])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
