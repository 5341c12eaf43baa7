"""Program whose loop over a stream with worker processes ends in a given way; prints the workers' ids.

python stream_loop.py FOLDER WAY
"""

import gc
import sys
import time
from multiprocessing import active_children

from swerve.data.stream import SampleStream, StreamLoader
from tests.support.stream_child import options


def children() -> list[int]:
    """Return the ids of the worker processes."""
    return [child.pid for child in active_children()]


def loop(loader: StreamLoader, way: str) -> None:
    """Iterate, and end in the given way."""
    for _ in loader:
        print(*children(), flush=True)
        if way == "break":
            break
        if way == "exception":
            raise LookupError("the user's")
        if way == "interrupt":
            time.sleep(60)  # until the parent sends Ctrl-C


def main(folder: str, way: str) -> None:
    """Run one loop."""
    loader = StreamLoader(SampleStream(folder, options()), 100, 2)
    if way in ("collected", "left"):
        batches = iter(loader)
        next(batches)
        print(*children(), flush=True)
        if way == "left":
            sys.batches = batches  # it lives until the interpreter ends
            return
        del batches
        gc.collect()
    else:
        loop(loader, way)
    print("left:", *children(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
