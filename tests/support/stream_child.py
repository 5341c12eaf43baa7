"""Training process to be killed: prints the step and digest of each batch, line by line.

python stream_child.py FOLDER STEPS WORKERS
"""

import hashlib
import sys

import numpy as np

from swerve.data.stream import ImageFit, Part, StreamLoader, StreamOptions
from swerve.data.stream.stream import SampleStream


def options(**changes) -> StreamOptions:
    """Return the tests' stream options: every part, both kinds of images."""
    parts = (
        Part("paired", 2.0, "both"),
        Part("raster_only", 1.0),
        Part("recovery", 2.0),
        Part("cross_agent", 1.0),
    )
    return StreamOptions(
        **{"parts": parts, "fit": ImageFit((48, 20)), "cameras": ("front",), "batch_size": 6, **changes}
    )


def digest(batch) -> str:
    """Compute SHA-256 over everything in a batch of tensors or arrays."""
    total = hashlib.sha256(repr((batch.step, batch.provenance, batch.cameras.size)).encode())
    for item in (batch, batch.cameras):
        for name, value in sorted(vars(item).items()):
            if hasattr(value, "dtype"):
                total.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    stream = SampleStream(sys.argv[1], options())
    for batch in StreamLoader(stream, int(sys.argv[2]), int(sys.argv[3])):
        print(batch.step, digest(batch), flush=True)
