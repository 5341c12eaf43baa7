"""RAP planner. Requires torch (extra `torch`); backbones other than `tiny` require timm (extra `timm`)."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.planners.rap.rap_config import RapConfig
    from swerve.planners.rap.rap_model import RapModel

__all__ = ["RapConfig", "RapModel"]

make_lazy(__name__)
