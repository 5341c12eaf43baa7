"""Weights that a training run begins with: anchors of its vocabulary, and those of another planner."""

from pathlib import Path

import torch

from swerve.data.stream import SampleStream
from swerve.planners.learning.alignment import neck_of
from swerve.planners.learning.checkpoint import require_equal_states
from swerve.planners.learning.model import PlannerModel
from swerve.planners.learning.sharding import load_whole, whole
from swerve.planners.learning.training_step import Training
from swerve.planners.learning.vocabulary import Vocabulary, kmeans_anchors
from swerve.planners.trained_file import read_tensors
from swerve.scenes import SwerveError


def begin(training: Training, stream: SampleStream) -> None:
    """Prepare a run that begins: find the vocabulary's anchors, take the weights of `initial_weights`.

    All processes must then have the same weights.

    Raises:
        SwerveError: the file is no planner, or shares no weights with the network; or the processes' weights differ.
    """
    vocabulary = vocabulary_of(training.model)
    if vocabulary is not None and len(vocabulary.anchors):
        targets = stream.targets(training.config.interval, training.config.poses)
        anchors = kmeans_anchors(targets, len(vocabulary.anchors), training.options.seed)
        vocabulary.set_anchors(torch.as_tensor(anchors).float())
    if training.options.initial_weights:
        load_initial_weights(training, training.options.initial_weights)
    require_equal_states(training)


def load_initial_weights(training: Training, path: Path) -> list[str]:
    """Take the weights of a trained planner where names and shapes are the same; return their names.

    Raises:
        SwerveError: the file is no planner, or none of its weights fits.
    """
    _, tensors = read_tensors(path, "a trained planner", "pt")
    own = training.model.state_dict()
    fitting = {name: one for name, one in tensors.items() if name in own and own[name].shape == one.shape}
    if not fitting:
        raise SwerveError(f"{path}: none of its weights fits {training.config.family}. Choose another initial_weights")
    load_whole(training.model, fitting, strict=False)
    for name, one in training.model.named_parameters():
        if name in training.average:
            training.average[name].copy_(one.detach())
    neck = neck_of(training.model)
    if neck and training.teacher:
        training.teacher.neck.load_state_dict({name: whole(one) for name, one in neck.state_dict().items()})
    return sorted(fitting)


def vocabulary_of(model: PlannerModel) -> Vocabulary | None:
    """Return the vocabulary of a network; None without one."""
    found = getattr(model, "vocabulary", None)
    return found if isinstance(found, Vocabulary) else None
