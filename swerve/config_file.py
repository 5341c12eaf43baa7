"""Read the options of a command from a YAML file, and write them beside its output."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro
import yaml
from tyro.conf import Positional
from tyro.constructors import PrimitiveConstructorSpec

from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import FLAT

CONFIG = "config.yaml"
_OWN = "config"  # the option that names the file is not written into it
Command = TypeVar("Command")


def read_config(path: Path, command: type[Command]) -> Command:
    """Return the options of a command as a file states them; options without a value or default are `tyro.MISSING`.

    Raises:
        SwerveError: the file cannot be read, has an unknown option, or a value of another type.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SwerveError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SwerveError(f"{path}: not a YAML file of options ({_problem(error)})") from error
    if not isinstance(content, dict):
        raise SwerveError(f"{path}: must state options, one `name: value` per line")
    given = {str(key).replace("-", "_"): value for key, value in content.items()}
    try:
        return _built(command, given, "")
    except (_ConfigError, SwerveError) as error:
        raise SwerveError(f"{path}: {error}") from error


def _problem(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    """Return where a file is no YAML and why, without the line that is quoted over several lines."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


def write_config(path: Path, options: object) -> None:
    """Write all options of a command, defaults included, as `read_config` reads them."""
    from swerve.data.storage.files import write_atomically

    text = yaml.dump(as_config(options), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    write_atomically(path, text.encode())


def as_config(options: object) -> dict[str, Any]:
    """Return options as YAML has them: nested by the prefixes that they have on the command line."""
    content: dict[str, Any] = {}
    for field, hint in _options(type(options)):
        value = getattr(options, field.name)
        if _has_options(hint):
            nested = as_config(value)
            content.update(nested if _is_flat(hint) else {field.name: nested})
        else:
            content[field.name] = _encoded(value, hint)
    return content


def positional_names(command: type) -> list[str]:
    """Return the names of the options that are given by their position."""
    marker = get_args(Positional[str])[1]
    return [field.name for field, hint in _options(command) if marker in annotations_of(hint)]


def option_names(command: type, prefix: str = "") -> list[str]:
    """Return the names of the options as they are typed but for dashes: "scene_interval", "recovery.lateral"."""
    names = []
    for field, hint in _options(command):
        if _has_options(hint):
            names += option_names(_plain(hint), prefix if _is_flat(hint) else f"{prefix}{field.name}.")
        else:
            names.append(f"{prefix}{field.name}")
    return names


class _Dumper(yaml.SafeDumper):
    """Writes an option per line, and lists in brackets."""


_Dumper.add_representer(
    list, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)
)


class _ConfigError(Exception):
    """An option is unknown or has a value of another type."""


def _built(command: type[Command], given: dict[str, Any], prefix: str) -> Command:
    """Return a dataclass with the given options, of which none may be left over."""
    known = set(_names(command))
    if unknown := sorted(set(given) - known):
        raise _ConfigError(f"{prefix}{unknown[0]}: no such option; the options are {', '.join(sorted(known))}")
    values: dict[str, Any] = {}
    for field, hint in _options(command):
        kind: Any = _plain(hint)
        if _has_options(hint):
            inner = {name: given[name] for name in _names(kind) if name in given} if _is_flat(hint) else None
            if inner is None and field.name in given:
                inner = _mapping(given[field.name], f"{prefix}{field.name}")
            if inner:
                values[field.name] = _built(kind, inner, prefix if _is_flat(hint) else f"{prefix}{field.name}.")
        elif field.name in given:
            values[field.name] = _decoded(given[field.name], hint, f"{prefix}{field.name}")
    return _partial(command, values) if _lacking(command, values) else command(**values)


def _lacking(command: type, values: Mapping[str, Any]) -> list[str]:
    """Return the options that have neither a value nor a default."""
    needed = (one for one, _ in _options(command) if one.default is NO_DEFAULT and one.default_factory is NO_DEFAULT)
    return [field.name for field in needed if field.name not in values]


def _partial(command: type[Command], values: dict[str, Any]) -> Command:
    """Return a dataclass with `tyro.MISSING` for the options that are lacking, which its `__init__` would refuse."""
    lacking = dict.fromkeys(_lacking(command, values), tyro.MISSING)
    options = object.__new__(command)
    for field in fields(command):  # type: ignore[arg-type]  # no type variable says "a dataclass"
        default = field.default_factory() if field.default_factory is not NO_DEFAULT else field.default
        object.__setattr__(options, field.name, {**lacking, **values}.get(field.name, default))
    return options


def _options(command: type) -> Iterable[tuple[Field[Any], Any]]:
    """Yield the fields that are options, with their types."""
    hints = get_type_hints(command, include_extras=True)
    return [(field, hints[field.name]) for field in fields(command) if field.name != _OWN]


def _names(command: type) -> Iterable[str]:
    """Yield the names of options, those of options without a prefix included."""
    for field, hint in _options(command):
        if _has_options(hint) and _is_flat(hint):
            yield from _names(_plain(hint))
        else:
            yield field.name


def _mapping(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _ConfigError(f"{name}: {value!r} must be options, one `name: value` per line")
    return {str(key).replace("-", "_"): inner for key, inner in value.items()}


def _plain(hint: Any) -> Any:  # noqa: ANN401 a type, as `typing` has them
    return _plain(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


def annotations_of(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """Return what is annotated to a type, nested annotations included."""
    if get_origin(hint) is not Annotated:
        return ()
    inner, *notes = get_args(hint)
    return (*notes, *annotations_of(inner))


def _has_options(hint: Any) -> bool:  # noqa: ANN401
    """Return whether a type is a dataclass of options, and not one that is written as one word."""
    return is_dataclass(_plain(hint)) and not _spec(hint)


def _is_flat(hint: Any) -> bool:  # noqa: ANN401
    return any(note is FLAT for note in annotations_of(hint))


def _spec(hint: Any) -> PrimitiveConstructorSpec[Any] | None:  # noqa: ANN401
    """Return how the command line writes values of the type, where it has a way of its own."""
    return next((note for note in annotations_of(hint) if isinstance(note, PrimitiveConstructorSpec)), None)


def _encoded(value: Any, hint: Any) -> Any:  # noqa: ANN401
    if spec := _spec(hint):
        return yaml.safe_load(spec.str_from_instance(value)[0])
    if isinstance(value, tuple):
        inner = get_args(_plain(hint))[0]
        return [_encoded(one, inner) for one in value]
    return str(value) if isinstance(value, Path) else value


def _decoded(value: Any, hint: Any, name: str) -> Any:  # noqa: ANN401
    """Return a value of YAML as one of a type."""
    if spec := _spec(hint):
        try:
            return spec.instance_from_str([str(value)])
        except (ValueError, SwerveError) as error:
            raise _ConfigError(f"{name}: {value!r} must be {spec.metavar} ({error})") from error
    kind = _plain(hint)
    if get_origin(kind) is tuple:
        return _decoded_list(value, get_args(kind), name)
    if get_origin(kind) in (Union, UnionType):
        return _decoded_union(value, get_args(kind), name)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise _ConfigError(f"{name}: {value!r} must be one of {', '.join(map(str, get_args(kind)))}")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _ConfigError(f"{name}: {value!r} must be of type {kind.__name__}")
    return value


def _decoded_list(value: Any, kinds: tuple[Any, ...], name: str) -> tuple[Any, ...]:  # noqa: ANN401
    if not isinstance(value, list) or (kinds[-1] is not ... and len(value) != len(kinds)):
        raise _ConfigError(f"{name}: {value!r} must be a list" + ("" if kinds[-1] is ... else f" of {len(kinds)}"))
    inner = [kinds[0]] * len(value) if kinds[-1] is ... else kinds
    return tuple(_decoded(one, kind, name) for one, kind in zip(value, inner, strict=True))


def _decoded_union(value: Any, kinds: tuple[Any, ...], name: str) -> Any:  # noqa: ANN401
    errors = []
    for kind in kinds:
        if kind is type(None):
            if value is None:
                return None
            continue
        try:
            return _decoded(value, kind, name)
        except _ConfigError as error:
            errors.append(error)
    raise errors[0]
