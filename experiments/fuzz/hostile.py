"""Values that a file can hold and no reader expects, and the mutations of bytes that all formats share."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from swerve.data.storage.write_pickle import PickledInstance

# Takes the random generator and a file's content, and returns other content.
Mutation = Callable[[np.random.Generator, bytes], bytes]

TEXTS: Final = (
    *("", "nan", "true", "None", "1e999", "../../../etc/passwd", "/etc/passwd", "<script>alert(1)</script>"),
    *(
        "\x1b[31mred\x1b[0m",
        "two\nlines",
        "[/b]",
        "[bold]",
        "a" * 300,
        "\u202eeli",
        "\u0000",
        "é",
        "'; DROP TABLE log; --",
    ),
)
NUMBERS: Final = (
    *(0, -1, 1, 2, 255, 2**31 - 1, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64, -(2**63), 10**15, 10**30, 10**400),
    *(0.0, -0.0, 1e-300, 0.5, -1.5, 1e7, 1e12, 1e300, -1e300, float("nan"), float("inf"), -float("inf")),
)
_INTERESTING: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
_INWARDS: Final = 0.7
_DEEP: Final = (100, 2000)


def pick(random: np.random.Generator, items: Any) -> Any:
    """Return one of the items."""
    return items[int(random.integers(len(items)))]


def hostile_value(random: np.random.Generator) -> Any:
    """Return a text, a number, a constant, or an empty or deep list or object."""
    kind = int(random.integers(8))
    if kind < 3:
        return pick(random, NUMBERS)
    if kind < 5:
        return pick(random, TEXTS)
    if kind == 5:
        return pick(random, (None, True, False, [], {}, [[]], [None], {"": 0}))
    if kind == 6:
        return float(random.normal(scale=10.0 ** int(random.integers(0, 12))))
    return deep_value(pick(random, _DEEP), bool(random.integers(2)))


def deep_value(levels: int, as_list: bool) -> Any:
    """Return nested lists or objects."""
    value: Any = 0
    for _ in range(levels):
        value = [value] if as_list else {"a": value}
    return value


def mutate_tree(random: np.random.Generator, tree: Any, depth: int = 0) -> Any:
    """Return nested lists, tuples and dicts with one place changed: another value, removed, doubled, or moved."""
    if isinstance(tree, PickledInstance):
        return replace(tree, attributes=_mutated_dict(random, dict(tree.attributes), depth)) if tree.attributes else 0
    inner = isinstance(tree, (dict, list, tuple)) and len(tree) > 0
    if not inner or (depth and random.random() < 0.08):
        return _other(random, tree)
    if isinstance(tree, dict):
        return _mutated_dict(random, dict(tree), depth)
    changed = _mutated_list(random, list(tree), depth)
    return tuple(changed) if isinstance(tree, tuple) else changed


def _mutated_dict(random: np.random.Generator, tree: dict[Any, Any], depth: int) -> dict[Any, Any]:
    # Mostly into what holds more, so that changes reach the places that have the most checks.
    inner = [key for key, value in tree.items() if isinstance(value, (dict, list, tuple)) and value]
    key, action = pick(random, inner if inner and random.random() < _INWARDS else list(tree)), random.random()
    if action < 0.08:
        del tree[key]
    elif action < 0.12:
        tree[pick(random, TEXTS)] = tree.pop(key)
    elif action < 0.16:
        other = pick(random, list(tree))
        tree[key], tree[other] = tree[other], tree[key]
    else:
        tree[key] = mutate_tree(random, tree[key], depth + 1)
    return tree


def _mutated_list(random: np.random.Generator, tree: list[Any], depth: int) -> list[Any]:
    at, action = int(random.integers(len(tree))), random.random()
    if action < 0.06:
        del tree[at]
    elif action < 0.12:
        tree.insert(at, tree[at])
    elif action < 0.15:
        tree.reverse()
    elif action < 0.17:
        tree = []
    else:
        tree[at] = mutate_tree(random, tree[at], depth + 1)
    return tree


def _other(random: np.random.Generator, value: Any) -> Any:
    """Return another value in place of one: often of the same type, so that it gets past the first checks."""
    if type(value) in (int, float) and random.random() < 0.5:
        # Integers times floats overflow where they are huge: whole factors do not.
        return value * pick(random, (-1, 0, 2, 10, 10**3, 10**6, 10**9))
    if isinstance(value, str) and random.random() < 0.5:
        return pick(random, TEXTS)
    if isinstance(value, np.ndarray) and value.size and random.random() < 0.8:
        return mutate_array(random, value)
    return hostile_value(random)


def mutate_array(random: np.random.Generator, array: np.ndarray) -> np.ndarray:
    """Return an array with another value, shape or type."""
    action = int(random.integers(6))
    if action == 0:
        return array[:-1] if array.ndim else array.reshape(1)
    if action == 1:
        return array[..., None]
    if action == 2:
        with np.errstate(all="ignore"):
            return array.astype(pick(random, ("f4", "f8", "i4", "u1", "b1", "U8")) if array.dtype.kind != "U" else "S4")
    changed = array.copy()
    with np.errstate(all="ignore"):
        if array.dtype.kind == "f":
            changed.flat[int(random.integers(array.size))] = float(min(pick(random, NUMBERS), 1e308))
        elif array.dtype.kind in "iu":
            info = np.iinfo(array.dtype)
            changed.flat[int(random.integers(array.size))] = pick(random, (info.min, info.max, 0, 1, info.max // 2))
        else:
            changed.flat[int(random.integers(array.size))] = pick(random, TEXTS) if array.dtype.kind == "U" else 0
    return changed


def mutate_bytes(random: np.random.Generator, content: bytes) -> bytes:
    """Return bytes with up to four changes: bits, numbers, parts removed, doubled, zeroed or cut off."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 5))):
        data = _once(random, data)
    return bytes(data)


def _once(random: np.random.Generator, data: bytearray) -> bytearray:
    if not data:
        return bytearray(random.bytes(8))
    at, action = int(random.integers(len(data))), int(random.integers(8))
    length = int(random.integers(1, 65))
    if action < 2:
        data[at] ^= 1 << int(random.integers(8))
    elif action < 4:
        size = pick(random, (1, 2, 4, 8))
        number = pick(random, _INTERESTING) % 2 ** (8 * size)
        data[at : at + size] = number.to_bytes(size, pick(random, ("little", "big")))
    elif action == 4:
        data = data[:at]
    elif action == 5:
        del data[at : at + length]
    elif action == 6:
        data[at:at] = data[at : at + length]
    else:
        data[at : at + length] = bytes(min(length, len(data) - at))
    return data
