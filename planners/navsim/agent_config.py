"""Configs of NAVSIM agents: YAML files that name classes by `_target_`, as hydra instantiates them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from swerve.planners.import_class import describe, import_class
from swerve.scenes import SwerveError

TARGET: Final = "_target_"
_IGNORED: Final = ("_convert_",)
_REFUSED: Final = ("_partial_", "_args_", "_recursive_")
_INTERPOLATION: Final = re.compile(r"\$\{([^{}]*)\}")
_FLOAT: Final = re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+")


class _Loader(yaml.SafeLoader):
    """Loader that reads 1e-4 as a number, as hydra does and YAML 1.1 does not."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"^{_FLOAT.pattern}$"), list("-+0123456789."))


def read_agent_config(path: Path) -> dict[str, Any]:
    """Read an agent's YAML file, or the `agent` of a whole config that hydra saved.

    Environment variables (`${oc.env:NAME}`, `${oc.env:NAME,default}`) are replaced.

    Raises:
        SwerveError: the file cannot be read, names no class, or needs hydra.
    """
    try:
        content = yaml.load(path.read_text(), Loader=_Loader)
    except OSError as error:
        raise SwerveError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SwerveError(f"{path}: not a YAML file ({' '.join(str(error).split())})") from error
    config = content.get("agent", content) if isinstance(content, dict) else content
    if not isinstance(config, dict) or not isinstance(config.get(TARGET), str):
        raise SwerveError(f"{path}: has no {TARGET}: module.Class, as the configs of NAVSIM agents have")
    if "defaults" in config:
        raise SwerveError(f"{path}: needs hydra (it has defaults). Give a file without, or hydra's saved config.yaml")
    resolved = _resolved(config, path)
    assert isinstance(resolved, dict)
    return resolved


def set_option(config: dict[str, Any], name: str, value: object) -> None:
    """Replace a value of a config; a dotted name is one of a nested mapping, such as trajectory_sampling.num_poses.

    Raises:
        SwerveError: the mapping around the name does not exist.
    """
    *path, last = name.split(".")
    for part in path:
        inner = config.get(part)
        if not isinstance(inner, dict):
            raise SwerveError(f"option {name}: there is no {part} with options of its own")
        config = inner
    config[last] = value


def instantiate(node: Any, spec: str) -> Any:  # noqa: ANN401 whatever the config names
    """Create the objects of a config, the inner ones first.

    Args:
        node: mapping, list or value.
        spec: of the planner, for errors.

    Raises:
        SwerveError: a class cannot be imported or created, or the config needs hydra.
    """
    if isinstance(node, list):
        return [instantiate(one, spec) for one in node]
    if not isinstance(node, Mapping):
        return node
    if refused := [key for key in _REFUSED if key in node]:
        raise SwerveError(f"planner {spec}: {refused[0]} needs hydra")
    values = {key: instantiate(one, spec) for key, one in node.items() if key not in (TARGET, *_IGNORED)}
    if TARGET not in node:
        return values
    found = import_target(spec, node[TARGET])
    try:
        return found(**values)
    except (SwerveError, ImportError):
        raise
    except Exception as error:
        raise SwerveError(f"planner {spec}: {node[TARGET]} cannot be created ({describe(error)})") from error


def import_target(spec: str, target: str) -> Any:  # noqa: ANN401 a class or function
    """Import a class by its dotted name.

    Raises:
        SwerveError: see `import_class`; or the name has no dot.
    """
    module, _, name = target.rpartition(".")
    if not module or not name or ":" in target:
        form = f"; perhaps {target.replace(':', '.')}" if ":" in target else ""
        raise SwerveError(f"planner {spec}: {target!r} is not of the form module.Class{form}")
    return import_class(spec, module, name)


def _resolved(node: Any, path: Path) -> Any:  # noqa: ANN401 as the config
    """Return a config with its environment variables replaced."""
    if isinstance(node, dict):
        return {key: _resolved(one, path) for key, one in node.items()}
    if isinstance(node, list):
        return [_resolved(one, path) for one in node]
    return _INTERPOLATION.sub(lambda match: _variable(match[1], path), node) if isinstance(node, str) else node


def _variable(expression: str, path: Path) -> str:
    kind, _, rest = expression.partition(":")
    if kind != "oc.env":
        raise SwerveError(f"{path}: ${{{expression}}} needs hydra; only ${{oc.env:NAME}} is replaced. Write its value")
    name, comma, default = (part.strip() for part in rest.partition(","))
    value = os.environ.get(name, default if comma else None)
    if value is None:
        raise SwerveError(f"{path}: the environment variable {name} is not set")
    return value
