"""ChainFlow planner: a chain of controls, and a flow that refines its trajectories. Requires torch (extra `torch`)."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.planners.chainflow.chainflow_config import ChainFlowConfig
    from swerve.planners.chainflow.chainflow_model import ChainFlowModel

__all__ = ["ChainFlowConfig", "ChainFlowModel"]

make_lazy(__name__)
