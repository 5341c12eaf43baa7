"""Measure the index and the reader of WOD-E2E frames on records of the real size: `python -m
experiments.wod_e2e_index FOLDER`.

Writes 1 GB into the folder, and removes it at the end. The disk's cache is emptied where the system lets one.
"""

import argparse
import struct
import time
from pathlib import Path

import numpy as np

from swerve.data.sources.waymo.crc_kernels import crc32c
from swerve.data.sources.wod_e2e.frame_index import FILE_NAME, build_index
from swerve.data.sources.wod_e2e.wod_e2e_source import WodE2eSource
from tests.support.e2e_records import CAMERAS, MadeFrame, encode_frame, jpeg

IMAGE_BYTES = 330_000
READ = 40


def masked(data: bytes) -> bytes:
    """Return the checksum of a record's part."""
    crc = int(crc32c(np.frombuffer(data, np.uint8)))
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def write_shard(file: Path, records: int) -> None:
    """Write records with eight images of the real size; what follows the JPEG in each is noise."""
    images = {camera: jpeg(camera) + np.random.default_rng(camera).bytes(IMAGE_BYTES) for camera in CAMERAS}
    with open(file, "wb") as stream:
        for index in range(records):
            data = encode_frame(MadeFrame(f"{index // 200:032x}-{index % 200:03d}", images=images))
            head = struct.pack("<Q", len(data))
            stream.write(head + masked(head) + data + masked(data))


def empty_cache() -> bool:
    """Have the system forget the files that it has read; return whether it does."""
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True


def measured(what: str, count: int, run) -> None:
    """Run and print the time."""
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    print(f"{what}: {seconds:.3f} s, {count / seconds:.0f} frames/s, {1e3 * seconds / count:.3f} ms a frame")


def main() -> None:
    """Write, measure, remove."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="new folder")
    parser.add_argument("--records", type=int, default=400)
    args = parser.parse_args()
    args.folder.mkdir(parents=True)
    file = args.folder / "val_made_up.tfrecord-00000-of-00001"
    try:
        write_shard(file, args.records)
        if empty_cache():
            measured("index, from the disk", args.records, lambda: build_index(args.folder))
            (args.folder / FILE_NAME).unlink()
        measured("index, from memory", args.records, lambda: build_index(args.folder))
        measured("index that is kept", args.records, lambda: build_index(args.folder))
        source = WodE2eSource(args.folder)
        entries = source.index().entries[:READ]
        source.frame(entries[0])
        measured("frames, from memory", len(entries), lambda: [source.frame(entry) for entry in entries])
    finally:
        file.unlink(missing_ok=True)
        (args.folder / FILE_NAME).unlink(missing_ok=True)
        args.folder.rmdir()


if __name__ == "__main__":
    main()
