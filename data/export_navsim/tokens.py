"""Tokens of exported frames and scenes: hexadecimal digits, the same in each export of the same log."""

import hashlib
from typing import Final

# NAVSIM knows a synthetic scene by its token's 17 digits.
_LOGGED_DIGITS, _SYNTHETIC_DIGITS = 16, 17
_BYTES: Final = 9


def logged_token(*parts: str | int) -> str:
    """Return a token of 16 digits."""
    return _digits(parts)[:_LOGGED_DIGITS]


def synthetic_token(*parts: str | int) -> str:
    """Return a token of 17 digits."""
    return _digits(parts)[:_SYNTHETIC_DIGITS]


def _digits(parts: tuple[str | int, ...]) -> str:
    return hashlib.blake2b("\n".join(map(str, parts)).encode(), digest_size=_BYTES).hexdigest()
