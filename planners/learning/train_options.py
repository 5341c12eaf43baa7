"""Options of training."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from swerve.scenes.errors import SwerveError

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class TrainingOptions:
    """Training options; defaults are those of RAP's paper where it states them.

    Attributes:
        steps: Steps of the optimizer.
        learning_rate: Largest learning rate.
        final_learning_rate: Final learning rate; the rate decays to it along half a cosine.
        warmup_fraction: Share of the steps in which the rate rises linearly to the largest.
        backbone_lr_multiplier: Multiplier of the learning rate for the backbone.
        weight_decay: Weight decay of AdamW.
        decay_matrices_only: No weight decay of norms, biases and other vectors.
        max_grad_norm: Largest norm of the gradient; the paper does not clip.
        weight_ema_decay: Decay of the exponential moving average of the weights, which is what is evaluated.
        gradient_accumulation_steps: Batches of a step, whose gradients are averaged: larger batches than memory holds.
        precision: bf16 for mixed training, validation and inference; fp32; or auto: bf16 on GPUs.
        tf32: Let a GPU multiply float32 matrices in TensorFloat-32, with 10 bits of mantissa.
        fsdp: Share parameters, gradients and the optimizer's state out among the processes (FSDP2), for networks
            that do not fit a GPU; otherwise each process has all of them (DDP).
        compile: Compile the network with torch.compile; the first steps take minutes.
        initial_weights: A trained planner's file; its weights are taken where names and shapes are the same.
        seed: Seed of initial weights, order of samples and dropout.
        scoring_threads: Threads that prepare contexts and score proposals, each a scene at a time.

    Raises:
        SwerveError: a number is outside its range.
    """

    steps: int = 20_000
    learning_rate: float = 1e-4
    final_learning_rate: float = 1e-5
    warmup_fraction: float = 0.05
    backbone_lr_multiplier: float = 1.0
    weight_decay: float = 1e-4
    decay_matrices_only: bool = False
    max_grad_norm: float = 5.0
    weight_ema_decay: float = 0.999
    gradient_accumulation_steps: int = 1
    precision: Precision = "auto"
    tf32: bool = False
    fsdp: bool = False
    compile: bool = False
    initial_weights: Annotated[Path | None, arg(metavar="FILE.safetensors")] = None
    seed: int = 0
    scoring_threads: int = 2

    def __post_init__(self) -> None:
        for name in (
            "steps",
            "learning_rate",
            "backbone_lr_multiplier",
            "max_grad_norm",
            "gradient_accumulation_steps",
            "scoring_threads",
        ):
            if not getattr(self, name) > 0:
                raise SwerveError(f"{name} is {getattr(self, name)}, it must be above 0")
        for name in ("warmup_fraction", "weight_ema_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise SwerveError(f"{name} is {getattr(self, name)}, it must be between 0 and 1")
        if not 0 <= self.weight_decay < math.inf:
            raise SwerveError(f"weight_decay is {self.weight_decay}, it must be finite and not below 0")
        if not 0 <= self.final_learning_rate <= self.learning_rate:
            raise SwerveError(
                f"learning_rate is {self.learning_rate} and final_learning_rate {self.final_learning_rate}, which must "
                "be between 0 and the former"
            )

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        rising = self.warmup_fraction * self.steps
        if step < rising:
            return self.learning_rate * (step + 1) / math.ceil(rising)
        share = min((step - rising) / max(self.steps - rising, 1), 1.0)
        return (
            self.final_learning_rate
            + (self.learning_rate - self.final_learning_rate) * (1 + math.cos(math.pi * share)) / 2
        )


@dataclass(frozen=True)
class LoopOptions:
    """Options of a run that do not change the weights.

    Attributes:
        workers: Processes that read batches.
        prefetch: Batches whose contexts are prepared ahead of the step, each in a thread; on GPUs in pinned memory.
        checkpoint_every: Steps between checkpoints.
        tensorboard: Also write metrics for TensorBoard; needs the extra `tensorboard`.
        wandb: Also send metrics to Weights & Biases, to the project of this name; needs the extra `wandb`.

    Raises:
        SwerveError: a number is out of its range.
    """

    workers: int = 2
    prefetch: int = 2
    checkpoint_every: int = 1000
    tensorboard: bool = False
    wandb: Annotated[str | None, arg(metavar="PROJECT")] = None

    def __post_init__(self) -> None:
        if self.checkpoint_every < 1:
            raise SwerveError(f"checkpoint_every is {self.checkpoint_every}, it must be 1 or more")
        if self.workers < 0:
            raise SwerveError(f"workers is {self.workers}, it must be 0 or more")
        if not 1 <= self.prefetch <= 64:
            raise SwerveError(f"prefetch is {self.prefetch}, it must be between 1 and 64")
