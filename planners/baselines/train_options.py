"""Options of training the ego-status MLP."""

from dataclasses import dataclass

from swerve.scenes.errors import SwerveError


@dataclass(frozen=True)
class TrainOptions:
    """Training options of the ego-status MLP.

    Attributes:
        epochs: Passes over the training samples.
        seed: Seed of the initial weights and of the order of the samples.
        hidden: Widths of the hidden layers.
        batch: Samples per step.
        learning_rate: Initial learning rate; it decays to zero along half a cosine.
        weight_decay: Weight decay of AdamW.

    Raises:
        SwerveError: a number is not positive.
    """

    epochs: int = 60
    seed: int = 0
    hidden: tuple[int, ...] = (128, 128)
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "learning_rate"):
            if not getattr(self, name) > 0:
                raise SwerveError(f"{name} is {getattr(self, name)}, it must be above 0")
