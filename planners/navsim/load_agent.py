"""Loading of NAVSIM agents: `module.Class`, or an agent's YAML file."""

import inspect
from collections.abc import Iterator
from copy import deepcopy
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any, Final

from swerve.planners.import_class import add_current_folder
from swerve.planners.navsim.agent_config import TARGET, import_target, instantiate, read_agent_config, set_option
from swerve.planners.navsim.agent_types import AgentClass
from swerve.planners.navsim.navsim_modules import SAMPLING, navsim_modules
from swerve.planners.navsim.navsim_planner import NavsimPlanner, missing_modules_as_errors
from swerve.scenes import SwerveError

PREFIX: Final = "navsim:"
_FILES: Final = (".yaml", ".yml")
_METHODS: Final = ("compute_trajectory", "get_sensor_config", "initialize")
_OWN: Final = Parameter("past_images", Parameter.KEYWORD_ONLY, default="refuse", annotation=str)
_SAMPLING: Final[dict[str, Any]] = {TARGET: f"{SAMPLING}.TrajectorySampling", "time_horizon": 4, "interval_length": 0.5}


class AgentFactory:
    """Callable that makes a planner from an agent; its signature is the agent's, with defaults of the YAML file.

    Args:
        spec: of the planner, for errors.
        target: module.Class or FILE.yaml.

    Raises:
        SwerveError: the file cannot be read, or the class cannot be imported or is no agent.
    """

    def __init__(self, spec: str, target: str) -> None:
        self._spec = spec
        self._file = Path(target) if target.endswith(_FILES) else None
        self._config: dict[str, Any] = read_agent_config(self._file) if self._file else {TARGET: target}
        add_current_folder()  # before it is decided whether NAVSIM is there
        with navsim_modules(), missing_modules_as_errors(f"planner {spec}"):
            self._kind = import_target(spec, self._config[TARGET])
        if lacking := [name for name in _METHODS if not callable(getattr(self._kind, name, None))]:
            raise SwerveError(f"planner {spec}: {self._config[TARGET]} is no NAVSIM agent, it has no {lacking[0]}")
        parameters = _parameters(self._kind)
        if "trajectory_sampling" in parameters:
            self._config.setdefault("trajectory_sampling", dict(_SAMPLING))
        self._known = {**parameters, **dict.fromkeys(self._config)}
        self.__signature__ = _signature(parameters, self._config)

    def __call__(self, **options: Any) -> NavsimPlanner:  # noqa: ANN401 the agent's own
        """Create and initialize the agent.

        Args:
            options: the agent's arguments, dotted ones of nested objects; and `past_images` of `NavsimPlanner`.

        Raises:
            SwerveError: an option is unknown, or the agent cannot be created.
        """
        past_images = options.pop("past_images", "refuse")
        if past_images not in ("refuse", "empty"):
            raise SwerveError(f"past_images must be refuse or empty, not {past_images!r}")
        config = deepcopy(self._config)
        for name, value in options.items():
            if name.split(".")[0] not in self._known and None not in self._known:
                raise SwerveError(f"no parameter {name!r}. Available: {', '.join(_shown(self._known))}")
            set_option(config, name, value)
        with navsim_modules(), missing_modules_as_errors(f"planner {self._spec}"):
            agent = instantiate(config, self._spec)
            return NavsimPlanner(agent, past_images, self._source_files(config))

    def _source_files(self, config: dict[str, Any]) -> list[Path]:
        """Return the files that determine the agent: its class's, the config, and those that options name."""
        paths = [inspect.getsourcefile(self._kind), self._file, *_texts(config)]
        return [Path(path) for path in paths if path and Path(path).is_file()]


def _texts(node: object) -> Iterator[str]:
    """Yield the texts of a config, those of nested objects and lists included."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list | tuple):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _texts(child)


def _parameters(kind: AgentClass) -> dict[Any, Parameter | None]:
    """Return the named parameters of an agent's constructor; the key None stands for any other name."""
    try:
        found = inspect.signature(kind, eval_str=True).parameters
    except NameError:
        found = inspect.signature(kind).parameters
    named = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    free = any(one.kind is Parameter.VAR_KEYWORD for one in found.values())
    known: dict[Any, Parameter | None] = {name: one for name, one in found.items() if one.kind in named}
    return {**known, None: None} if free else known


def _signature(parameters: dict[Any, Parameter | None], config: dict[str, Any]) -> Signature:
    """Return a signature in which what the config states has a default, and dotted names are allowed."""
    made = [
        one.replace(kind=Parameter.KEYWORD_ONLY, default=config.get(name, one.default))
        for name, one in parameters.items()
        if one is not None
    ]
    own = [] if "past_images" in parameters else [_OWN]
    return Signature([*made, *own, Parameter("others", Parameter.VAR_KEYWORD)])


def _shown(known: dict[Any, Any]) -> list[str]:
    return [*(name for name in known if name not in (None, TARGET, "_convert_")), _OWN.name]
