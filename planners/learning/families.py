"""Registry of networks by family, the name in planner files."""

from importlib import import_module
from typing import Final, TypeVar

from swerve.planners.learning.model import PlannerModel
from swerve.planners.learning.model_config import ModelConfig
from swerve.scenes import SwerveError
from swerve.scenes.printable import printable

# Module and class of the families of this program, imported when they are used.
FAMILIES: Final = {
    "rap": ("swerve.planners.rap.rap_model", "RapModel"),
    "chainflow": ("swerve.planners.chainflow.chainflow_model", "ChainFlowModel"),
    "ego-mlp": ("swerve.planners.baselines.ego_mlp_model", "EgoMlpModel"),
}
_REGISTERED: dict[str, type[PlannerModel]] = {}
M = TypeVar("M", bound=type[PlannerModel])


def register(model: M) -> M:
    """Make a network known by its `family`, so that its files can be loaded; a decorator of the class.

    Raises:
        SwerveError: another class has this family already.
    """
    known = _REGISTERED.get(model.family)
    if model.family in FAMILIES or (known and known.__qualname__ != model.__qualname__):
        raise SwerveError(f"planner family {model.family!r} is taken by another network. Choose another name")
    _REGISTERED[model.family] = model
    return model


def model_class(family: str) -> type[PlannerModel]:
    """Return the class of a family. A file's family is only looked up: nothing is imported by its name.

    Raises:
        SwerveError: no such family is registered.
    """
    if family in FAMILIES:
        module, name = FAMILIES[family]
        found: type[PlannerModel] = getattr(import_module(module), name)
        return found
    if family not in _REGISTERED:
        known = ", ".join([*FAMILIES, *_REGISTERED])
        raise SwerveError(
            f"planner family {printable(str(family))[:40]!r} is not known; known are {known}. Import the module that "
            "registers it first: on the command line, name your own function module:function that returns load(FILE)"
        )
    return _REGISTERED[family]


def build_model(config: ModelConfig, weights: bool = True) -> PlannerModel:
    """Build the network of a config.

    Raises:
        SwerveError: its family is not registered, or the backbone cannot be built.
    """
    return model_class(config.family)(config, weights)
