"""Options whose paths are URLs of stores, with folders of this machine in their place while a command runs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

from swerve.data.storage.mirror import output_folder, snapshot
from swerve.data.storage.store import local_of, url_of
from swerve.data.storage.stored_folder import local_folder
from swerve.options.shared import WRITES_FILE
from swerve.scenes.errors import SwerveError

Options = TypeVar("Options")
# Commands that write to the output of a job, or look at it.
_JOB_WRITERS: Final = ("Finish", "Verify")
_JOB_READERS: Final = ("Status",)
# Options that are no paths, though they may begin like one.
_NO_PATHS: Final = ("sources", "planners")


@contextmanager
def stored_paths(options: Options) -> Iterator[Options]:
    """Return the options with a folder of this machine for each URL: where inputs are read, and the output is written.

    The output is in its store when the block is left.

    Raises:
        SwerveError: an input is missing, or a store does not answer.
    """
    own: Any = options
    with ExitStack() as stack:
        changed = {
            field.name: new
            for field in fields(own)
            if (new := _local(stack, own, field.name)) is not getattr(own, field.name)
        }
        yield replace(own, **changed) if changed else options


def _local(stack: ExitStack, options: Any, name: str) -> Any:  # noqa: ANN401
    """Return an option's value with folders of this machine."""
    value, command = getattr(options, name), type(options).__name__
    if name in _NO_PATHS:
        return value
    if isinstance(value, tuple):
        there = tuple(_input(one) for one in value)
        return there if any(new is not old for new, old in zip(there, value, strict=True)) else value
    if not isinstance(value, (str, Path)) or (url_of(value) is None and local_of(value) == Path(value)):
        return value
    if name == "out" or command in _JOB_WRITERS:
        hint = get_type_hints(type(options), include_extras=True)[name]
        if WRITES_FILE in getattr(hint, "__metadata__", ()):
            raise SwerveError(f"OUT: {value}: this command writes a file, to a path of this machine")
        return stack.enter_context(output_folder(value))
    if command in _JOB_READERS:
        return stack.enter_context(snapshot(value))
    return _input(value)


def _input(value: Any) -> Any:  # noqa: ANN401
    """Return the folder of this machine with an input at a URL; other values stay."""
    if not isinstance(value, (str, Path)) or (url_of(value) is None and local_of(value) == Path(value)):
        return value
    return type(value)(local_folder(value)) if isinstance(value, str) else local_folder(value)
