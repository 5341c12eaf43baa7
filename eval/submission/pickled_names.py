"""Names of classes and functions in a pickle, listed without loading it."""

import pickletools
from typing import Any

_GLOBALS = ("GLOBAL", "INST")
_PUT = ("PUT", "BINPUT", "LONG_BINPUT")
_GET = ("GET", "BINGET", "LONG_BINGET")


def pickled_names(data: bytes) -> set[tuple[str, str]]:
    """Return the (module, name) of everything that a pickle refers to.

    Raises:
        ValueError: the pickle is damaged.
    """
    found: set[tuple[str, str]] = set()
    # Texts in the order in which they are pushed; None stands for any other object that is remembered.
    pushed: list[str | None] = []
    memo: dict[int, str | None] = {}
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in _GLOBALS:
            module, _, name = str(argument).partition(" ")
            found.add((module, name))
            pushed.append(None)
        elif opcode.name == "STACK_GLOBAL":
            if len(pushed) < 2:
                raise ValueError("a class is named by fewer than two texts")
            found.add((str(pushed[-2]), str(pushed[-1])))
            pushed.append(None)
        else:
            _follow(opcode.name, argument, pushed, memo)
    return found


def _follow(opcode: str, argument: Any, pushed: list[str | None], memo: dict[int, str | None]) -> None:  # noqa: ANN401
    """Keep track of the texts that an instruction pushes or remembers."""
    if opcode == "MEMOIZE":
        memo[len(memo)] = pushed[-1] if pushed else None
    elif opcode in _PUT:
        memo[argument] = pushed[-1] if pushed else None
    elif opcode in _GET:
        pushed.append(memo.get(argument))
    elif "UNICODE" in opcode:
        pushed.append(argument)
    elif opcode not in ("PROTO", "FRAME"):
        pushed.append(None)
    del pushed[:-2]
