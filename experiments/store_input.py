"""Compare training input from a folder and from an S3 store: `python -m experiments.store_input SET`.

The store is moto's server on this machine, in a process of its own, so the figures hold what Swerve and the HTTP client
cost, and the server's own time, but no network. Every sample of the set is read once and decoded, in random order.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from swerve.data.dataset.read_manifest import read_manifest
from swerve.data.storage.fsspec_store import open_store
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from tests.support.s3_server import BUCKET

_SERVE = """
import sys, time
from tests.support.s3_server import Faults, s3_server
with s3_server(Faults()) as url:
    import os
    print(os.environ["AWS_ENDPOINT_URL"], flush=True)
    time.sleep(100000)
"""


def main(arguments: Sequence[str]) -> None:
    """Print samples a second of each way to read the set."""
    parser = argparse.ArgumentParser(prog="python -m experiments.store_input", description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--split", help="that of the first sample if none is given")
    args = parser.parse_args(arguments)
    server = subprocess.Popen([sys.executable, "-c", _SERVE], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        os.environ |= {"AWS_ENDPOINT_URL": server.stdout.readline().strip(), "AWS_DEFAULT_REGION": "us-east-1"}
        os.environ |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test")
        with tempfile.TemporaryDirectory() as cache:
            os.environ["SWERVE_CACHE"] = cache
            _compare(args.set, args.split, Path(cache))
    finally:
        server.kill()
        server.wait()


def _compare(folder: Path, split: str | None, cache: Path) -> None:
    store = open_store(f"s3://{BUCKET}/set")
    for path in (path for path in sorted(folder.rglob("*")) if path.is_file()):
        store.put(path.relative_to(folder).as_posix(), path)
    table = read_manifest(folder, ("shard", "split"))
    split = split or table["split"][0].as_py()
    size = sum((folder / shard).stat().st_size for shard in set(table["shard"].to_pylist()))
    print(f"{len(table)} samples, {size / 1e6:.1f} MB; {size / len(table) / 1e3:.0f} kB a sample")
    _read(folder, split)  # compiles, and fills the system's own cache
    print(f"folder                {_read(folder, split):8.1f} samples/s", flush=True)
    for kind, bound in (("whole shards", "1 GB"), ("ranges", f"{max(int(1.8 * size), 1000)}")):
        os.environ["SWERVE_CACHE_SIZE"] = bound
        shutil.rmtree(cache)
        for state in ("cold", "warm"):
            print(f"s3, {kind:<12} {state} {_read(store.url, split):8.1f} samples/s", flush=True)


def _read(folder: Path | str, split: str) -> float:
    """Read an epoch one sample at a time; return samples per second, opening left out."""
    options = StreamOptions((Part("raster_only"),), ImageFit((480, 270)), batch_size=1, split=split)  # type: ignore[arg-type]
    stream = SampleStream(folder, options)
    steps, start = round(stream.steps_per_epoch["raster_only"]), time.perf_counter()
    for step in range(steps):
        stream.batch(step)
    return steps / (time.perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1:])
