"""Checks of types and shapes while tests run: of the first calls of every function in every test, or of all calls.

Checks of every call took four fifths of the time of many tests, for the same shapes over and over: of a function that a
test calls thousands of times, and of those defined in functions, whose checks were made anew in every call. With
`SWERVE_CHECKED_CALLS=all` every call is checked.
"""

import inspect
import os
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache, partial, wraps
from typing import Any, Final

import jaxtyping

ALL: Final = "all"
VARIABLE: Final = "SWERVE_CHECKED_CALLS"
_CALLS: Final = 4
_jaxtyped = jaxtyping.jaxtyped


class _Test:
    """The number of the test that is running."""

    number = 0


def begin_test() -> None:
    """Check the first calls of all functions again."""
    _Test.number += 1


def install(modules: list[str]) -> None:
    """Check functions and dataclasses of modules that are imported from now on with jaxtyping and beartype."""
    if os.environ.get(VARIABLE) != ALL:
        # The import hook decorates by this name.
        jaxtyping.jaxtyped = first_calls_checked
    jaxtyping.install_import_hook(modules, "beartype.beartype")


def first_calls_checked(item: Any = None, *, typechecker: Callable[..., Any]) -> Any:
    """Decorate a function, method or class as `jaxtyping.jaxtyped` does, for the first calls in every test."""
    if item is None:
        return partial(first_calls_checked, typechecker=typechecker)
    again = partial(first_calls_checked, typechecker=typechecker)
    if "<locals>" in getattr(item, "__qualname__", ""):
        return item  # made anew in every call of the function around it, and so would be its check
    if inspect.isclass(item):
        return _class_checked(item, typechecker)
    if isinstance(item, classmethod | staticmethod):
        return type(item)(again(item.__func__))
    if isinstance(item, property):
        return property(*(one and again(one) for one in (item.fget, item.fset, item.fdel)))
    return _function_checked(item, cache(lambda: _jaxtyped(item, typechecker=typechecker)))


def _class_checked(item: type, typechecker: Callable[..., Any]) -> type:
    """Check the fields of a dataclass when it is made; other classes have the checks of their methods alone."""
    plain = item.__init__
    if is_dataclass(item) and getattr(plain, "__globals__", {}).get("__name__") != __name__:
        checked = cache(lambda: _jaxtyped(plain, typechecker=typechecker))
        item.__init__ = _function_checked(plain, checked)  # type: ignore[misc]
    return item


def _function_checked(plain: Callable[..., Any], checked: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """Return a function that calls the checked form, which is made when it is needed, at first in every test."""
    test, calls = -1, 0

    @wraps(plain)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal test, calls
        if test != _Test.number:
            test, calls = _Test.number, 0
        if calls >= _CALLS:
            return plain(*args, **kwargs)
        calls += 1
        return checked()(*args, **kwargs)

    return call
