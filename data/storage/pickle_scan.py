"""Checks of a pickle's bytes before they are loaded: known opcodes only, and lengths that the file has.

A file can still name one object many times: see `pickle_weight`.
"""

import pickletools
from dataclasses import dataclass, field
from typing import Final

from swerve.data.storage.pickle_weight import check_tuples

# Opcodes that no data file needs: objects outside the file, a registry of the process, classes of protocol 0.
_REFUSED: Final = frozenset({"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEXT_BUFFER", "DUP"})
_PUTS: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
# pickletools writes these for arguments whose length is in the file.
_COUNT_BYTES: Final = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
# Kinds of arguments in `_KINDS`: a number of bytes that is not negative, or one of these.
_UNKNOWN, _REFUSE, _LINE, _TWO_LINES, _PUT = -1, -2, -3, -4, -5


def _kind_of(opcode: pickletools.OpcodeInfo) -> tuple[int, int]:
    """Return the bytes of an opcode's argument (or of its count, or a kind), and the bytes of its count."""
    if opcode.name in _REFUSED:
        return _REFUSE, 0
    if opcode.name in _PUTS:
        return _PUT, 0
    if opcode.arg is None:
        return 0, 0
    if opcode.arg.n == pickletools.UP_TO_NEWLINE:
        return (_TWO_LINES if opcode.name == "GLOBAL" else _LINE), 0
    if opcode.arg.n >= 0:
        return opcode.arg.n, 0
    return 0, _COUNT_BYTES[opcode.arg.n]


def _tables() -> tuple[list[int], list[int], list[str]]:
    kinds, counts, names = [_UNKNOWN] * 256, [0] * 256, [""] * 256
    for opcode in pickletools.opcodes:
        kinds[ord(opcode.code)], counts[ord(opcode.code)] = _kind_of(opcode)
        names[ord(opcode.code)] = opcode.name
    return kinds, counts, names


_KINDS, _COUNTS, _NAMES = _tables()
_STOP: Final = ord(".")


# Instructions that fetch memorized objects, make tuples, and memorize.
_GETS: Final = {ord("h"): 1, ord("j"): 4}
_TUPLES: Final = frozenset(b"t\x85\x86\x87\x91")
_MEMOIZE: Final = 0x94
_FOLLOWED: Final = frozenset({*_GETS, _MEMOIZE})
# Tuples that may be fetched again without a look at what they hold; each can double the time that a hash takes.
_FREE_FETCHES: Final = 24


@dataclass
class _Memory:
    """The memorized objects: which indices there are, which are tuples, and how often tuples are fetched."""

    known: set[int] = field(default_factory=set)
    tuples: set[int] = field(default_factory=set)
    fetched: int = 0

    def put(self, index: int, is_tuple: bool) -> None:
        """Memorize an object."""
        self.known.add(index)
        (self.tuples.add if is_tuple else self.tuples.discard)(index)

    def follow(self, data: bytes, at: int, last: int) -> None:
        """Follow an instruction of `_FOLLOWED` after the one of code `last`."""
        if data[at] == _MEMOIZE:
            self.put(len(self.known), last in _TUPLES)
        elif int.from_bytes(data[at + 1 : at + 1 + _GETS[data[at]]], "little") in self.tuples:
            self.fetched += 1


def scan_pickle(data: bytes) -> None:
    """Check that a pickle ends, and that loading it takes memory and time in proportion to its length.

    A few bytes can otherwise announce gigabytes: a string longer than the file, or an entry far out in the table of
    memorized objects.

    Raises:
        ValueError: an opcode is unknown or refused, an argument exceeds the file, or the file ends before the pickle.
    """
    at, last, end, kinds, counts, memory = 0, 0, len(data), _KINDS, _COUNTS, _Memory()
    while at < end:
        code = data[at]
        kind, count = kinds[code], counts[code]
        if count:
            size = int.from_bytes(data[at + 1 : at + 1 + count], "little")
            if size > end - at:
                raise ValueError(f"ends within an argument of {size} bytes, at byte {at}")
            at += 1 + count + size
        elif kind >= 0:
            if code in _FOLLOWED:
                memory.follow(data, at, last)
            at += 1 + kind
            if code == _STOP:
                return check_tuples(data) if memory.fetched > _FREE_FETCHES else None
        else:
            at = _after(data, at, kind, memory, last in _TUPLES)
        last = code
    raise ValueError("ends before its contents do")


def _after(data: bytes, at: int, kind: int, memory: _Memory, is_tuple: bool) -> int:
    """Return the byte after an opcode whose argument is text or an index of memorized objects."""
    name = _NAMES[data[at]]
    if kind == _UNKNOWN:
        raise ValueError(f"has no valid instruction at byte {at}")
    if kind == _REFUSE:
        raise ValueError(f"uses the instruction {name}, which is refused, at byte {at}")
    if kind == _PUT and name != "PUT":
        size = 1 if name == "BINPUT" else 4
        index, following = int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size
    else:
        following = data.find(b"\n", at) + 1
        if kind == _TWO_LINES and following:
            following = data.find(b"\n", following) + 1
        if not following:
            raise ValueError(f"ends within a line of text, at byte {at}")
        index = int(data[at + 1 : following]) if kind == _PUT else 0
        memory.fetched += name == "GET"
    if not 0 <= index <= len(data):
        raise ValueError(f"memorizes object {index}, more than it holds, at byte {at}")
    if kind == _PUT:
        memory.put(index, is_tuple)
    return following
