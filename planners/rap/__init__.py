"""RAP planner. Requires torch (extra `torch`); backbones other than `tiny` require timm (extra `timm`)."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.planners.rap.inputs import RapInput
    from swerve.planners.rap.rap_batch import RapBatch, views_of
    from swerve.planners.rap.rap_config import RapConfig
    from swerve.planners.rap.rap_model import RapModel, RapOutput
    from swerve.planners.rap.rap_planner import RapPlanner, load_rap, save_rap

__all__ = [
    "RapBatch",
    "RapConfig",
    "RapInput",
    "RapModel",
    "RapOutput",
    "RapPlanner",
    "load_rap",
    "save_rap",
    "views_of",
]

make_lazy(__name__)
