"""Training of planners with networks, whatever their family. Requires torch (extra `torch`).

Backbones other than `tiny` require timm (extra `timm`).
"""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.planners.learning.families import build_model, model_class, register
    from swerve.planners.learning.inputs import ModelInput, inputs_of
    from swerve.planners.learning.learned_planner import LearnedPlanner, load_learned, save_learned
    from swerve.planners.learning.model import ModelOutput, PlannerModel
    from swerve.planners.learning.model_config import ModelConfig
    from swerve.planners.learning.train import Process, RunOptions, processes, train
    from swerve.planners.learning.train_options import TrainingOptions
    from swerve.planners.learning.training_batch import TrainingBatch, views_of

__all__ = [
    "LearnedPlanner",
    "ModelConfig",
    "ModelInput",
    "ModelOutput",
    "PlannerModel",
    "Process",
    "RunOptions",
    "TrainingBatch",
    "TrainingOptions",
    "build_model",
    "inputs_of",
    "load_learned",
    "model_class",
    "processes",
    "register",
    "save_learned",
    "train",
    "views_of",
]

make_lazy(__name__)
