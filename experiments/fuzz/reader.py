"""A reader under test, and one case: valid files of which one is changed."""

import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from experiments.fuzz.hostile import Mutation, mutate_bytes, pick

# Shares of cases in which a file is missing, empty, a folder, or what another file is.
_MISSING, _EMPTY, _FOLDER, _ANOTHER = 0.02, 0.02, 0.02, 0.02


@dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes:
        name: as the command line has it.
        write: writes valid files into a folder, with Swerve's writers or synthetic generators.
        mutations: by pattern of the file's path in the folder; files without one are left alone.
        read: reads all that the folder holds, and checks that what was read is valid: it raises AssertionError if not.
    """

    name: str
    write: Callable[[Path], None]
    mutations: Mapping[str, Mutation]
    read: Callable[[Path], None]


def generator_of(reader: str, seed: int, case: int) -> np.random.Generator:
    """Return the random generator of a case, the same on every machine."""
    return np.random.Generator(np.random.Philox([seed, zlib.crc32(reader.encode()), case]))


def write_case(reader: Reader, seeds: Path, folder: Path, seed: int, case: int) -> str:
    """Make a case's folder from the valid files; return which file was changed.

    Args:
        reader: under test.
        seeds: folder of the valid files.
        folder: to make; its files are links to the valid ones.
        seed: of the run.
        case: number of the case.
    """
    files = sorted(path.relative_to(seeds).as_posix() for path in seeds.rglob("*") if path.is_file())
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(seeds / name, folder / name)
    random = generator_of(reader.name, seed, case)
    known = [name for name in files if _mutation_of(reader, name)]
    name = pick(random, known)
    content = (seeds / name).read_bytes()
    (folder / name).unlink()
    action = random.random()
    if action < _MISSING:
        return f"{name} removed"
    if action < _MISSING + _FOLDER:
        (folder / name).mkdir()
        return f"{name} a folder"
    if action < _MISSING + _FOLDER + _EMPTY:
        changed = b""
    elif action < _MISSING + _FOLDER + _EMPTY + _ANOTHER:
        changed = (seeds / pick(random, known)).read_bytes()
    else:
        changed = (_mutation_of(reader, name) or mutate_bytes)(random, content)
    (folder / name).write_bytes(changed)
    return name


def _mutation_of(reader: Reader, name: str) -> Mutation | None:
    return next((own for pattern, own in reader.mutations.items() if fnmatch(name, pattern)), None)
