"""Files on disk: atomic writes, and dataclasses as one archive file."""
