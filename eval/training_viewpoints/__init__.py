"""Viewpoints for training beyond the log: follow-ups in simulated traffic, visited states, pseudo-expert targets."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.eval.training_viewpoints.training_maker import TrainingMaker, maker_of
    from swerve.eval.training_viewpoints.training_viewpoint_options import TrainingViewpointOptions

__all__ = ["TrainingMaker", "TrainingViewpointOptions", "maker_of"]

make_lazy(__name__)
