"""Planners by name.

`NAME`, `module:Class`, `navsim:AGENT`, a trained `FILE.safetensors`, or `grpc://HOST:PORT`, a driver of AlpaSim; then
`,key=value...`.
"""

import ast
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import partial
from inspect import Parameter
from pathlib import Path
from typing import Any, get_args

from swerve.planners.baselines.disturbed import DisturbedPlanner
from swerve.planners.baselines.kinematic import ConstantAcceleration, ConstantVelocity, Stationary
from swerve.planners.baselines.privileged import Idm, LoggedHuman, PdmClosed
from swerve.planners.import_class import describe, import_class
from swerve.planners.trained_file import INSTALL, read_header, trained_path
from swerve.scenes import MissingExtraError, SwerveError
from swerve.scenes.planning import Planner

BUILT_INS: Mapping[str, Callable[..., Planner]] = {
    "stationary": Stationary,
    "constant-velocity": ConstantVelocity,
    "constant-acceleration": ConstantAcceleration,
    "human": LoggedHuman,
    "idm": Idm,
    "pdm-closed": PdmClosed,
}
DISTURBANCES = tuple(field.name for field in fields(DisturbedPlanner) if field.name != "planner")
TRAINED = ".safetensors"
# Name, without that, of the planner of a run, beside which its checkpoint lies.
_PLANNER = "planner"
_NAVSIM = "navsim:"
REMOTE = "grpc://"
_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class LoadedPlanner:
    """Planner with its label.

    Attributes:
        label: name in tables; unless the spec gives `label=`, the spec, or the `planner_name` of a trained file.
        planner: planner object.
        spec: spec, to load the planner again in another process.
    """

    label: str
    planner: Planner
    spec: str


def load_planner(spec: str) -> LoadedPlanner:
    """Load the planner named by a spec.

    `NAME` is one of `BUILT_INS`; `module:Class` is a class or factory function of a module that can be imported from
    the current folder; `navsim:module.Class` and `navsim:FILE.yaml` are NAVSIM agents; `FILE.safetensors` was trained
    by `swerve train`; `grpc://HOST:PORT` is a driver of AlpaSim. Parameters follow: the class's own; those of
    `DisturbedPlanner`, which apply to every planner, unless its class has one of that name; and `label=`.

    Raises:
        SwerveError: the planner is unknown, cannot be created, has no such parameter, or no method `plan`;
            or its cameras are one text.
    """
    head, *items = (part.strip() for part in spec.split(","))
    texts = _parameters(spec, items)
    label = texts.pop("label", planner_name(Path(head)) if head.endswith(TRAINED) else spec)
    factory = _factory(spec, head)
    accepted = _accepted(factory)
    own = {key: text for key, text in texts.items() if key in accepted or key not in DISTURBANCES}
    disturbances = {key: text for key, text in texts.items() if key not in own}
    planner = _made(spec, factory, _values(spec, own, accepted))
    if not callable(getattr(planner, "plan", None)):
        raise SwerveError(f"planner {spec}: {head} has no method plan(observation)")
    if isinstance(names := getattr(planner, "cameras", None), str):  # its letters would be taken for names
        raise SwerveError(f"planner {spec}: cameras is one text, {names!r}: declare a tuple, cameras = ({names!r},)")
    if disturbances:
        accepted = {key: one for key, one in _accepted(DisturbedPlanner).items() if key in DISTURBANCES}
        planner = _made(spec, DisturbedPlanner, {"planner": planner, **_values(spec, disturbances, accepted)})
    return LoadedPlanner(label, planner, spec)


def with_options(spec: str, options: Sequence[str]) -> str:
    """Return a spec with more options, each `key=value`.

    Raises:
        SwerveError: a value has a comma, which separates options.
    """
    if bad := [option for option in options if "," in option]:
        raise SwerveError(f"planner {spec}: {bad[0]!r} has a comma, which separates options. Write it into a YAML file")
    return ",".join([spec, *options])


def planner_name(path: Path) -> str:
    """Return the name of a trained planner: of its run, where the file has the name that all runs give it."""
    return path.stem if path.stem != "planner" else path.resolve().parent.name


def describe_planners() -> str:
    """Describe the built-in planners with their parameters and defaults, one line each; for help texts."""
    lines = [f"{name}{_defaults(_accepted(factory))}" for name, factory in BUILT_INS.items()]
    rest = {key: parameter for key, parameter in _accepted(DisturbedPlanner).items() if key in DISTURBANCES}
    return "\n".join([*lines, f"all of them{_defaults(rest)} label=TEXT"])


def _defaults(parameters: Mapping[str, Parameter]) -> str:
    return "".join(f" {key}={str(parameter.default).lower()}" for key, parameter in parameters.items())


def _parameters(spec: str, items: list[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not item:
            raise SwerveError(f"planner {spec}: nothing follows the comma. Planners are separated by spaces")
        if not (key and equals and text):
            raise SwerveError(f"planner {spec}: {item!r} is not of the form key=value")
        if key in texts:
            raise SwerveError(f"planner {spec}: {key} is given twice")
        texts[key] = text
    return texts


def _factory(spec: str, head: str) -> Callable[..., Any]:
    if head in BUILT_INS:
        return BUILT_INS[head]
    if head.endswith(TRAINED):
        return lambda: _trained(trained_path(head))
    if head.startswith(_NAVSIM):
        from swerve.planners.navsim.load_agent import AgentFactory

        return AgentFactory(spec, head.removeprefix(_NAVSIM))
    if head.startswith(REMOTE):
        from swerve.eval.alpasim.remote_planner import RemotePlanner

        return partial(RemotePlanner, head.removeprefix(REMOTE).rstrip("/"))
    module, colon, name = head.partition(":")
    if not colon and _is_own_file(head):
        own = head.removesuffix(".py").replace("/", ".")
        raise SwerveError(f"planner {spec}: name the class, too, as in {own}:{_first_class(head)}")
    if not (module and colon and name):
        raise SwerveError(
            f"planner {spec}: no planner is named {head!r}{_meant(head)}. Available: {', '.join(BUILT_INS)}; "
            f"module:Class; navsim:module.Class or navsim:FILE.yaml, a NAVSIM agent; FILE{TRAINED}, as written by "
            f"swerve train; and {REMOTE}HOST:PORT, a driver of AlpaSim"
        )
    return _imported(spec, module, name)


def _meant(head: str) -> str:
    """Return what a name that is none may stand for; empty if there is nothing to guess."""
    if close := get_close_matches(head.lower(), BUILT_INS, 1, 0.8):
        return f"; perhaps {close[0]}"
    if (folder := Path(head)).is_dir():
        files = sorted(folder.glob(f"*{TRAINED}"), key=lambda file: (file.stem != _PLANNER, file))
        file = next(iter(files), None)
        return f", which is a folder; perhaps {file}" if file else ", which is a folder"
    if "=" in head and "/" not in head:
        return ": parameters follow their planner after a comma, without a space"
    if head.endswith((".yaml", ".yml")):
        return f"; a NAVSIM agent is {_NAVSIM}{head}"
    beside = {file.name: str(file) for file in Path(head).parent.glob(f"*{TRAINED}")} if "/" in head else {}
    if near := get_close_matches(Path(head).name, beside, 1, 0.8):
        return f"; perhaps {beside[near[0]]}"
    module, dot, name = head.rpartition(".")
    if dot and head.replace(".", "").isidentifier():
        return f"; perhaps {module}:{name}, or of a NAVSIM agent {_NAVSIM}{head}"
    return "; several are separated by spaces, without quotes" if " " in head else ""


def _is_own_file(head: str) -> bool:
    """Return whether a name without a class is that of a Python file in the current folder, with or without .py."""
    return Path(head).with_suffix(".py").is_file() and Path(head).suffix in ("", ".py")


def _first_class(head: str) -> str:
    """Return the name of the first class in a Python file that has a method plan; it is not run."""
    try:
        tree = ast.parse(Path(head).with_suffix(".py").read_bytes())
    except (SyntaxError, ValueError):
        return "Class"
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    plans = [one.name for one in classes if any(getattr(own, "name", "") == "plan" for own in one.body)]
    return next(iter(plans), "Class")


def _trained(path: Path) -> Planner:
    """Load a trained planner.

    Raises:
        MissingExtraError: torch is not installed.
        SwerveError: see `learning.load_learned`.
    """
    read_header(path, "a trained planner")
    try:
        from swerve.planners.learning import load_learned
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", INSTALL) from error
    return load_learned(path)


def _imported(spec: str, module: str, name: str) -> Callable[..., Any]:
    """Import a user's class or function that makes a planner.

    Raises:
        SwerveError: it is a class without a method `plan`, or plans itself.
    """
    found: Callable[..., Any] = import_class(spec, module, name)
    if inspect.isclass(found) and not callable(getattr(found, "plan", None)):
        raise SwerveError(f"planner {spec}: class {name} has no method plan(observation)")
    if inspect.isfunction(found) and "observation" in inspect.signature(found).parameters:
        raise SwerveError(f"planner {spec}: {name} plans itself: make it the method plan(self, observation) of a class")
    return found


def _accepted(factory: Callable[..., Any]) -> Mapping[str, Parameter]:
    """Return parameters by name, with evaluated annotations where possible."""
    try:
        return inspect.signature(factory, eval_str=True).parameters
    except NameError:
        return inspect.signature(factory).parameters


def _values(spec: str, texts: Mapping[str, str], accepted: Mapping[str, Parameter]) -> dict[str, Any]:
    """Convert parameters to the types of the class.

    Raises:
        SwerveError: a parameter is unknown, missing, or of the wrong type.
    """
    named = {
        key: one
        for key, one in accepted.items()
        if one.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    }
    free = any(one.kind is Parameter.VAR_KEYWORD for one in accepted.values())
    unknown = [key for key in texts if key not in named]
    if unknown and not free:
        allowed = dict.fromkeys([*named, *DISTURBANCES, "label"])
        raise SwerveError(f"planner {spec}: no parameter {unknown[0]!r}. Available: {', '.join(allowed)}")
    missing = [key for key, one in named.items() if one.default is Parameter.empty and key not in texts]
    if missing:
        raise SwerveError(f"planner {spec}: needs {', '.join(f'{key}=...' for key in missing)}")
    annotations = {key: named[key].annotation if key in named else Parameter.empty for key in texts}
    return {key: _value(spec, key, text, annotations[key]) for key, text in texts.items()}


def _value(spec: str, key: str, text: str, annotation: Any) -> Any:  # noqa: ANN401
    """Parse a number, true, false, none or text, according to the annotation."""
    kinds = get_args(annotation) or (annotation,)
    if annotation is str:
        return text
    value = _literal(text)
    if type(value) is int and float in kinds and int not in kinds:
        value = float(value)
    if all(kind in _PLAIN for kind in kinds) and type(value) not in kinds:
        wanted = " or ".join("none" if kind is type(None) else kind.__name__ for kind in kinds)
        raise SwerveError(f"planner {spec}: {key} must be {wanted}, not {text!r}")
    return value


def _literal(text: str) -> bool | int | float | str | None:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def _made(spec: str, factory: Callable[..., Any], values: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Call a factory, and convert any exception of foreign code to a SwerveError."""
    try:
        return factory(**values)
    except SwerveError as error:
        raise SwerveError(f"planner {spec}: {error}") from error
    except Exception as error:
        raise SwerveError(f"planner {spec}: it cannot be created ({describe(error)})") from error
