import json
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum, IntEnum
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from jaxtyping import Bool, Float, Int, UInt8

from swerve.data.storage.archive import load_archive, save_archive, to_bytes
from swerve.scenes import Log, Photo, SwerveError
from tests.support.random_log import random_log
from tests.support.simple_log import simple_log
from tests.support.town_logs import town


class Color(Enum):
    RED = ("red", 1)
    BLUE = ("blue", 2)


class Level(IntEnum):
    LOW = 3
    HIGH = 7


@dataclass(frozen=True)
class Leaf:
    points: Float[np.ndarray, "n 2"]
    flags: Bool[np.ndarray, "*b"]
    small: UInt8[np.ndarray, ""]


@dataclass(frozen=True)
class Tree:
    name: str
    color: Color
    level: Level
    word: Literal["left", "right"]
    count: int
    share: float
    sure: bool
    limit: float | None
    leaves: tuple[Leaf, ...]
    pair: tuple[int, str]
    numbers: dict[str, float]
    leaf: Leaf | None
    steps: Int[np.ndarray, "t"]


@dataclass(frozen=True)
class Loose:
    words: np.ndarray


integers = st.integers(1 - 2**63, 2**63 - 1)
leaves = st.builds(
    Leaf,
    points=arrays.arrays(np.float64, st.tuples(st.integers(0, 4), st.just(2))),
    flags=arrays.arrays(bool, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
    small=arrays.arrays(np.uint8, ()),
)
trees = st.builds(
    Tree,
    name=st.text(),
    color=st.sampled_from(Color),
    level=st.sampled_from(Level),
    word=st.sampled_from(["left", "right"]),
    count=integers,
    share=st.floats(),
    sure=st.booleans(),
    limit=st.none() | st.floats(),
    leaves=st.lists(leaves, max_size=3).map(tuple),
    pair=st.tuples(integers, st.text()),
    numbers=st.dictionaries(st.text(), st.floats(), max_size=3),
    leaf=st.none() | leaves,
    steps=arrays.arrays(np.int64, st.integers(0, 5)),
)


def assert_same(a, b, where="item"):
    """Equal types and values, NaN equal to NaN, arrays to the bit."""
    assert type(a) is type(b) or isinstance(a, str), where
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), where
    elif is_dataclass(a):
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}")
    elif isinstance(a, tuple):
        assert len(a) == len(b), where
        for row, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f"{where}[{row}]")
    elif isinstance(a, dict):
        assert_same(tuple(sorted(a)), tuple(sorted(b)), where)
        for key in a:
            assert_same(a[key], b[key], f"{where}[{key!r}]")
    else:
        assert a == b or (a != a and b != b), where


@given(trees)
def test_what_is_written_is_read_again(tmp_path_factory, tree):
    path = tmp_path_factory.getbasetemp() / "tree.npz"
    save_archive(path, tree, "tree", 1)
    assert_same(load_archive(path, Tree, "tree", 1), tree)
    assert path.read_bytes() == to_bytes(tree, "tree", 1)


@pytest.mark.parametrize(
    "make", [simple_log, partial(random_log, 5), partial(town, 0)], ids=["simple", "random", "town"]
)
def test_a_log_is_read_as_it_was_written(tmp_path, make):
    log = make()
    save_archive(tmp_path / "log.npz", log, "log", 1)
    again = load_archive(tmp_path / "log.npz", Log, "log", 1)
    assert_same(again, log)
    # Kernels are compiled for such arrays.
    assert all(array.flags.writeable and array.flags.aligned for array in (again.times_us, again.tracks.valid))


def test_files_from_before_a_field_came_are_read(tmp_path):
    """A log of the time when logs had no sweeps; what has no default must be there."""
    path = tmp_path / "log.npz"
    save_archive(path, simple_log(), "log", 1)
    with np.load(path) as stored:
        tree, block = json.loads(stored["tree"].tobytes()), stored["block"]
    assert tree["item"].pop("sweeps") == []
    np.savez(path, tree=np.frombuffer(json.dumps(tree).encode(), np.uint8), block=block)
    assert_same(load_archive(path, Log, "log", 1), simple_log())
    del tree["item"]["times_us"]
    np.savez(path, tree=np.frombuffer(json.dumps(tree).encode(), np.uint8), block=block)
    with pytest.raises(SwerveError, match="damaged log: Log lacks 'times_us'"):
        load_archive(path, Log, "log", 1)


def test_what_no_file_holds_is_named(tmp_path):
    """A path means nothing on another machine: photographs are the source's."""
    photo = Photo("front", 0, np.eye(4), Path("a.jpg"))
    with pytest.raises(SwerveError, match=r"Log\.photos\[0\]\.file: a \w*Path cannot be stored"):
        save_archive(tmp_path / "log.npz", replace(simple_log(), photos=(photo,)), "log", 1)
    with pytest.raises(SwerveError, match=r"Loose\.words: an array of <U1 cannot be stored"):
        to_bytes(Loose(np.array(["a"])), "loose", 1)
    assert not list(tmp_path.iterdir())


def test_other_kinds_and_versions_are_refused(tmp_path):
    path = tmp_path / "log.npz"
    save_archive(path, simple_log(), "log", 2)
    with pytest.raises(SwerveError, match="log of version 2, this is version 3"):
        load_archive(path, Log, "log", 3)
    with pytest.raises(SwerveError, match="is log, not a context"):
        load_archive(path, Log, "context", 2)


def test_files_that_are_damaged_are_refused(tmp_path):
    path = tmp_path / "log.npz"
    for content in (b"", b"no archive", to_bytes(simple_log(), "log", 1)[:-100]):
        path.write_bytes(content)
        with pytest.raises(SwerveError, match="cannot be read as an archive"):
            load_archive(path, Log, "log", 1)
    with pytest.raises(SwerveError, match="cannot be read as an archive"):
        load_archive(tmp_path / "absent.npz", Log, "log", 1)
    np.savez(path, tree=np.frombuffer(b"{", np.uint8), block=np.zeros(0, np.uint8))
    with pytest.raises(SwerveError, match="its tree is not JSON"):
        load_archive(path, Log, "log", 1)
    np.savez(path, tree=np.frombuffer(b"[]", np.uint8), block=np.zeros(0, np.uint8))
    with pytest.raises(SwerveError, match="is something else, not a log"):
        load_archive(path, Log, "log", 1)


@given(st.data())
def test_no_flipped_byte_is_read_as_something_else(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "flipped.npz"
    leaf = Leaf(np.arange(20.0).reshape(10, 2), np.ones(3, bool), np.array(3, np.uint8))
    content = bytearray(to_bytes(leaf, "leaf", 1))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        again = load_archive(path, Leaf, "leaf", 1)
    except SwerveError:
        return
    assert_same(again, leaf)  # Not every byte of a zip means something.


CHANGES = {
    "lacks 'name'": lambda tree: tree.pop("name"),
    "has an unknown 'age'": lambda tree: tree.update(age=3),
    "Tree.color is 'GREEN', not of Color": lambda tree: tree.update(color="GREEN"),
    "Tree.word is 'up', not of": lambda tree: tree.update(word="up"),
    "Tree.count is 1.5, not int": lambda tree: tree.update(count=1.5),
    "Tree.count is True, not int": lambda tree: tree.update(count=True),
    "Tree.share is 'much', not a number": lambda tree: tree.update(share="much"),
    "Tree.pair is .*, not a list of 2": lambda tree: tree.update(pair=[1]),
    "Tree.leaves is 3, not a list": lambda tree: tree.update(leaves=3),
    "Tree.numbers is 3, not an object": lambda tree: tree.update(numbers=3),
    "Tree.leaf is 3, not an object": lambda tree: tree.update(leaf=3),
    r"Tree.leaves\[0\].points is an array of f8 and shape \[2, 3\]": lambda tree: tree["leaves"][0].update(
        points=["f8", [2, 3], 0]
    ),
    r"Tree.leaves\[0\].points is an array of i8": lambda tree: tree["leaves"][0].update(points=["i8", [1, 2], 0]),
    r"Tree.steps is no array \(its shape is a list of 1\)": lambda tree: tree.update(steps=["i8", [-1], 0]),
    r"Tree.steps is no array": lambda tree: tree.update(steps=["i8", [10**6], 0]),
    r"Tree.steps is no array ": lambda tree: tree.update(steps=["O", [1], 0]),
}


@pytest.mark.parametrize("complaint", CHANGES)
def test_a_file_that_does_not_fit_its_type_names_the_place(tmp_path, complaint):
    leaf = Leaf(np.arange(8.0).reshape(4, 2), np.ones(3, bool), np.array(3, np.uint8))
    item = Tree("a", Color.RED, Level.LOW, "left", 1, 1.0, True, None, (leaf,), (1, "b"), {}, leaf, np.arange(3))
    path = tmp_path / "tree.npz"
    save_archive(path, item, "tree", 1)
    with np.load(path) as stored:
        tree, block = json.loads(bytes(stored["tree"])), stored["block"]
    CHANGES[complaint](tree["item"])
    np.savez(path, tree=np.frombuffer(json.dumps(tree).encode(), np.uint8), block=block)
    with pytest.raises(SwerveError, match=complaint):
        load_archive(path, Tree, "tree", 1)
