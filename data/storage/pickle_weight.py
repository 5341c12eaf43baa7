"""Bounds of what loaded pickles cost to use: a few bytes can name one object a million times."""

import pickletools
from typing import Any, Final

import numpy as np

# Objects, or bytes of arrays and texts, that each byte of a file may stand for, and that any file may.
_SHARE: Final = 64
_FREE: Final = 2**22
_LEAVES: Final = frozenset({int, float, bool, type(None), bytes, complex})
_TUPLES: Final = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET"})
_BELOW: Final = frozenset({"APPENDS", "SETITEMS", "ADDITEMS"})
_GETS: Final = frozenset({"GET", "BINGET", "LONG_BINGET"})
_PUTS: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_MARK: Final = -1


def check_weight(content: object, size: int) -> None:
    """Check what it takes to visit all that was loaded, an object as often as it is named.

    Args:
        content: loaded.
        size: of the pickle in bytes.

    Raises:
        ValueError: it takes more than 64 objects or bytes for each byte of the pickle, and 4 million; or it is
            endless.
    """
    left, stack = _FREE + _SHARE * size, [content]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind in _LEAVES:
            continue
        if kind is str:
            left -= len(item)  # type: ignore[arg-type]
        else:
            inner = _inner(item)
            left -= len(inner) + (item.nbytes if isinstance(item, np.ndarray) else 1)
            if left >= 0:
                stack.extend(inner)
        if left < 0:
            raise ValueError("names its objects so often that they take memory and time out of proportion to its size")


def _inner(item: Any) -> list[Any]:  # noqa: ANN401 whatever a pickle made
    """Return what an object holds."""
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    if isinstance(item, (list, tuple, set, frozenset)):
        return list(item)
    if isinstance(item, np.ndarray):
        return list(item.flat) if item.dtype.hasobject else []
    values = getattr(item, "values", None)
    return [values] if isinstance(values, dict) else []


def check_tuples(data: bytes) -> None:
    """Check that no tuple holds others so often that its hash takes time out of proportion; dicts hash their keys.

    A pickle's instructions are followed with the number of items of each tuple in place of the objects.

    Raises:
        ValueError: a tuple has more items than the file has bytes, counted as often as they are named.
    """
    stack, kept = list[int](), dict[int, int]()
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name == "MARK":
            stack.append(_MARK)
        elif name in _GETS:
            stack.append(kept.get(int(argument or 0), 1))
        elif name in _PUTS or name == "MEMOIZE":
            kept[len(kept) if name == "MEMOIZE" else int(argument or 0)] = stack[-1] if stack else 1
        else:
            popped = _popped(stack, opcode)
            weight = 1 + sum(popped) if name in _TUPLES else 1
            if weight > _FREE + len(data):
                raise ValueError("nests its tuples so often that they take time out of proportion to its size")
            stack.extend([weight] * len(opcode.stack_after))


def _popped(stack: list[int], opcode: pickletools.OpcodeInfo) -> list[int]:
    """Take what an instruction takes from the stack; of a damaged pickle, what there is."""
    if pickletools.markobject not in opcode.stack_before:
        count = min(len(opcode.stack_before), len(stack))
        popped = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        return popped
    first = next((at for at in range(len(stack) - 1, -1, -1) if stack[at] == _MARK), 0)
    popped = stack[first + 1 :]
    del stack[first - (1 if opcode.name in _BELOW and first else 0) :]
    return popped
