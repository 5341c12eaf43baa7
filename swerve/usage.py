"""Usage errors in one line: which option is wrong, and what to give instead.

Tyro draws its errors as boxes of many lines and exits. Here they are raised as `SwerveError`s. Tyro has no public way
to do so for the parser that is used; pyproject.toml therefore states the releases that have what is replaced.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from typing import Any, Final, NoReturn, get_args, get_type_hints

from swerve.config_file import annotations_of, option_names, positional_names
from swerve.scenes.errors import SwerveError

# Options of NAVSIM's scripts, which are typed NAME=VALUE, and what takes their place.
_NAVSIM_OPTIONS: Final = {
    "train_test_split": "--split",
    "agent": "--planners navsim:FILE.yaml",
    "traffic_agents": "--traffic",
    "worker": "--workers",
    "experiment_name": "OUT",
}


@contextmanager
def usage_errors(command: str, kind: type, given: Sequence[str] = ()) -> Iterator[None]:
    """Raise what tyro finds wrong with the arguments of a command.

    Args:
        command: name of the command.
        kind: its options class.
        given: the arguments.

    Raises:
        SwerveError: from within the block, in the place of tyro's box and exit.
    """
    from tyro import _errors
    from tyro._backends import _argparse_formatter as formatter

    parser_class: Any = formatter.TyroArgumentParser
    unknown = formatter.global_unrecognized_arg_and_prog
    original = parser_class.error

    def raise_error(_: object, message: str) -> NoReturn:
        raise SwerveError(_worded(command, kind, message, [name for name, _ in unknown], given))

    def raise_value_error(event: Any) -> None:  # noqa: ANN401 classes of tyro that may change
        if isinstance(event, _errors.InstantiationFailure):
            raise SwerveError(_value_error(event, kind))

    parser_class.error = raise_error
    unknown.clear()  # tyro would keep those of an earlier call in this process
    try:
        with _errors.on_parse_error(raise_value_error):
            yield
    except SwerveError as error:
        raise SwerveError(as_typed(str(error), kind)) from error
    finally:
        parser_class.error = original


def check_positions(command: str, kind: type, options: object) -> None:
    """Check that a list such as SOURCE... is not empty: the last of the words given is OUT, so one may be missing.

    Raises:
        SwerveError: it is empty, or OUT is a source.
    """
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    names = positional_names(kind)
    if any(name in needed and getattr(options, name) == () for name in names):
        given = " ".join(str(getattr(options, name)) for name in names if getattr(options, name) != ())
        form = " ".join(_metavars(kind, names))
        raise SwerveError(f"one of {form} is missing: only {given} is given. The command is swerve {command} {form}")
    from swerve.data.sources.registry import names_source  # not needed for help

    out = str(getattr(options, "out", ""))
    if "out" in names and names_source(out):
        form = " ".join(_metavars(kind, names))
        raise SwerveError(f"OUT: {out} is a source. The command is swerve {command} {form}")


def as_typed(message: str, kind: type) -> str:
    """Return an error with the option that it begins with as it is typed: `--scene-interval` for scene_interval."""
    found = re.match(r"([a-z][a-z_0-9.]*)(?= \(degrees\)|:| is | must )", message)
    names = option_names(kind)
    if found is None or not (flags := [name for name in names if name == found[1] or name.endswith(f".{found[1]}")]):
        return message
    return f"{_flag(flags[0])}{message[found.end() :]}"


def check_assignments(given: Sequence[str]) -> None:
    """Check that no argument is one of NAVSIM's scripts.

    Raises:
        SwerveError: one is.
    """
    for before, word in zip(("", *given), given, strict=False):
        name, equals, _ = word.partition("=")
        if equals and name in _NAVSIM_OPTIONS and not before.startswith("--planner-option"):
            place = _NAVSIM_OPTIONS[name]
            raise SwerveError(f"{word} is an option of NAVSIM's scripts: here it is {place}. docs/navsim.md has others")


def _worded(command: str, kind: type, message: str, unknown: Sequence[str], given: Sequence[str]) -> str:
    """Return an error of argparse in words that help."""
    if unknown:
        said = "; ".join(_unknown(name, kind) for name in dict.fromkeys(unknown))
        return f"{said}. See swerve {command} --help"
    if message.startswith("the following arguments are required:"):
        lacking = ", ".join(max(name.split("/"), key=len) for name in message.partition(": ")[2].split(", "))
        form = " ".join([*_metavars(kind, positional_names(kind)), *_required_flags(kind)])
        return f"missing: {lacking}. The command is swerve {command} {form}"
    if message.startswith("unrecognized arguments:"):
        unknown = message.partition(": ")[2].split()
        return f"{_unknown(unknown[0], kind)}. See swerve {command} --help"
    if re.search(r"invalid choice: '[^']*,", message):
        message += ". Lists are separated by spaces"
    wrong = re.search(r"invalid choice: '([^']*)'", message)
    names = positional_names(kind)
    first = next((place for place, word in enumerate(given) if word.startswith("-")), len(given))
    if wrong and wrong[1] == given[-1] and not given[-2].startswith("-") and "out" in names and first < len(names):
        form = " ".join(_metavars(kind, positional_names(kind)))
        message += f". If it is OUT: options come after it, as in swerve {command} {form} [OPTIONS]"
    return re.sub(
        r"expected (\d+|one|at least one) argument.*", "a value is missing", message.removeprefix("argument ")
    )


def _unknown(name: str, kind: type) -> str:
    """Return what to type in the place of an unknown option."""
    if not name.startswith("-"):
        return f"{name!r} is one argument too many"
    typed, known = name.partition("=")[0], [_flag(one) for one in option_names(kind)]
    own = typed.lstrip("-")
    parts = [one for one in known if one.endswith(f".{own}")] or [one for one in known if one.startswith(f"{typed}-")]
    if (positional := next((one for one in positional_names(kind) if one.replace("_", "-") == own), None)) is not None:
        return f"no option {typed}: {_metavars(kind, [positional])[0]} is given without a name, in its place"
    near = parts[:3] or difflib.get_close_matches(typed, known, 3, 0.7)
    return f"no option {typed}" + (f"; perhaps {' or '.join(near)}" if near else "")


def _value_error(event: Any, kind: type) -> str:  # noqa: ANN401
    """Return a value that does not fit its option in words."""
    message = " ".join(str(event.message).split())
    message = re.sub(r"invalid literal for int\(\) with base 10: (.*)", r"\1 is not a whole number", message)
    message = re.sub(r"no type matching (\S+) could be instantiated from \['(.*?)'\]\..*", r"'\2' is not \1", message)
    message = re.sub(r"could not convert string to float: (.*)", r"\1 is not a number", message)
    if event.argument is None:
        return as_typed(message, kind)
    names: Iterable[str] = event.argument.lowered.name_or_flags
    place = str(event.argument.lowered.metavar) if event.argument.is_positional() else next(iter(names))
    return f"{place}: {message}"


def _metavars(kind: type, names: Sequence[str]) -> list[str]:
    """Return options that are given by their position as help shows them: SOURCE... OUT."""
    hints = get_type_hints(kind, include_extras=True)
    found = [[getattr(note, "metavar", None) for note in annotations_of(hints[name])] for name in names]
    return [next(filter(None, one), name.upper()) for one, name in zip(found, names, strict=True)]


def positional_metavars(kind: type) -> list[str]:
    """Return the arguments of a command that are given by their position, as help shows them."""
    return _metavars(kind, positional_names(kind))


def _required_flags(kind: type) -> list[str]:
    """Return the options without a default, with their values: --planners PLANNER..."""
    needed = [field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]
    names = [name for name in needed if name not in positional_names(kind)]
    names = [name for name in names if not hasattr(_class_of(kind, name), "__dataclass_fields__")]
    return [f"{_flag(name)} {value}" for name, value in zip(names, _metavars(kind, names), strict=True)]


def _class_of(kind: type, name: str) -> Any:  # noqa: ANN401
    hint = get_type_hints(kind, include_extras=True)[name]
    return get_args(hint)[0] if annotations_of(hint) else hint


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
