"""Training step: trained parameters, learning rates, and the state of checkpoints."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from swerve.data.jobs.stopwatch import Stopwatch
from swerve.planners.rap.alignment import DomainClassifier, EmaTeacher
from swerve.planners.rap.rap_batch import RapBatch
from swerve.planners.rap.rap_config import RapConfig
from swerve.planners.rap.rap_losses import RapLosses, rap_losses
from swerve.planners.rap.rap_model import RapModel
from swerve.planners.rap.scorer import best_proposal
from swerve.planners.rap.train_options import RapTrainOptions
from swerve.scenes import SwerveError


class Training:
    """State of a network in training.

    No random state is carried between steps: each is seeded by (seed, step, rank), so that a step depends only on the
    tensors of `state_dict` and on its batch. On a CPU, with the same number of threads, interrupted and resumed
    training gives the same weights, bit for bit; on a GPU, sums have no fixed order.

    Args:
        config: config of the network.
        options: training options.
        device: training device.
        rank: rank of this process.
        world: world size; each process has its own batches (torch.distributed must be initialised).
    """

    def __init__(
        self, config: RapConfig, options: RapTrainOptions, device: torch.device, rank: int = 0, world: int = 1
    ) -> None:
        self.config, self.options, self.device, self.rank = config, options, device, rank
        self.step, self.watch = 0, Stopwatch()
        torch.manual_seed(options.seed)
        self.model = RapModel(config).to(device).train()
        self.classifier = DomainClassifier(config).to(device)
        self.teacher = EmaTeacher(self.model.neck, config.ema_decay)
        self.average = {name: one.detach().clone() for name, one in self.model.named_parameters() if one.requires_grad}
        forward = _Forward(self.model, self.classifier, config)
        self._trained = [one for one in forward.parameters() if one.requires_grad]
        self._optimizer = torch.optim.AdamW(self._trained, options.learning_rate, weight_decay=options.weight_decay)
        # Parts without gradients: losses of weight zero, and alignment before it begins.
        unused = 0.0 in (config.score_weight, config.global_weight) or config.alignment_start > 0.0
        self._forward: nn.Module = forward
        if world > 1:
            self._forward = nn.parallel.DistributedDataParallel(forward, find_unused_parameters=unused)

    def train_step(self, batch: RapBatch) -> dict[str, int | float]:
        """Run one training step; return its metrics.

        Raises:
            SwerveError: a loss is not finite, or memory does not suffice.
        """
        options, rate = self.options, self.options.rate(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(_seed(options.seed, self.step, self.rank))
        watch = self.watch
        with _memory_told(batch), watch.measure("step"):
            batch = batch.to(self.device)
            with watch.measure("forward"):
                losses, notes = self._forward(batch, self.teacher, self.step / options.steps, watch, options.threads)
                self._check(losses)
            with watch.measure("backward"):
                self._optimizer.zero_grad(set_to_none=True)
                losses.total.backward()
            with watch.measure("optimizer"):
                norm = self._updated()
            noted = {name: float(value.detach()) for name, value in {**vars(losses), **notes}.items()}
        self.step += 1
        return {"step": self.step, "lr": rate, **noted, "grad_norm": norm}

    def averaged_model(self) -> RapModel:
        """Return a network with the averaged weights, in evaluation mode."""
        model = RapModel(self.config, weights=False).to(self.device)
        model.load_state_dict({**self.model.state_dict(), **self.average})
        return model.eval()

    def state_dict(self) -> dict[str, Tensor]:
        """Return all tensors that the next steps depend on, by name."""
        parts = {"model": self.model, "classifier": self.classifier, "teacher": self.teacher}
        tensors = {f"{part}.{name}": one for part, module in parts.items() for name, one in module.state_dict().items()}
        tensors |= {f"average.{name}": one for name, one in self.average.items()}
        kept = self._optimizer.state_dict()["state"]
        return tensors | {f"optimizer.{row}.{name}": one for row, own in kept.items() for name, one in own.items()}

    def load_state_dict(self, tensors: dict[str, Tensor], step: int) -> None:
        """Restore the result of `state_dict` after the given number of steps.

        Raises:
            RuntimeError: the tensors are of another network.
        """
        parts = {"model": self.model, "classifier": self.classifier, "teacher": self.teacher}
        for part, module in parts.items():
            module.load_state_dict(_under(tensors, part))
        for name, one in _under(tensors, "average").items():
            self.average[name].copy_(one)
        state = self._optimizer.state_dict()
        for name, one in _under(tensors, "optimizer").items():
            row, key = name.split(".")
            state["state"].setdefault(int(row), {})[key] = one
        self._optimizer.load_state_dict(state)
        self.step = step

    def _updated(self) -> float:
        """Apply an optimizer step; return the gradient norm before clipping."""
        norm = nn.utils.clip_grad_norm_(self._trained, self.options.max_grad_norm)
        self._optimizer.step()
        self.teacher.update(self.model.neck)
        self._update_average()
        return float(norm)

    @torch.no_grad()
    def _update_average(self) -> None:
        """Update the averaged weights; the decay is smaller early on, since the initial weights are meaningless."""
        decay = min(self.options.ema_decay, (1 + self.step) / (10 + self.step))
        for name, one in self.model.named_parameters():
            if name in self.average:
                self.average[name].lerp_(one.detach(), 1.0 - decay)

    def _check(self, losses: RapLosses) -> None:
        if not bool(losses.total.isfinite()):
            parts = ", ".join(f"{name} {float(value.detach()):g}" for name, value in vars(losses).items())
            raise SwerveError(f"step {self.step}: the loss is not finite ({parts}). Lower the learning rate")


class _Forward(nn.Module):
    """Losses of a batch as one module, whose gradients DDP averages."""

    def __init__(self, model: RapModel, classifier: DomainClassifier, config: RapConfig) -> None:
        super().__init__()
        self.model, self.classifier, self.config = model, classifier, config

    def forward(
        self, batch: RapBatch, teacher: EmaTeacher, progress: float, watch: Stopwatch, threads: int
    ) -> tuple[RapLosses, dict[str, Tensor]]:
        """Compute losses, and errors of the proposals."""
        device = batch.targets.device.type
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            output = self.model(batch.inputs)
            losses = rap_losses(output, batch, self.config, teacher, self.classifier, progress, watch, threads)
        with torch.no_grad():
            chosen = displacement(best_proposal(output.logits, output.poses)[:, None], batch)
            return losses, {"ade_best": displacement(output.poses, batch), "ade_chosen": chosen}


def displacement(poses: Float[Tensor, "b n k 3"], batch: RapBatch) -> Float[Tensor, ""]:
    """Compute the mean distance of the nearest proposals to the targets, over known poses, metres."""
    distances = (poses[..., :2] - batch.targets[:, None, :, :2]).norm(dim=-1)
    distances = torch.where(batch.valid[:, None], distances, 0.0).sum(dim=-1)
    nearest = (distances / batch.valid.sum(dim=1).clamp(min=1)[:, None]).amin(dim=1)
    known = batch.valid.any(dim=1)
    return (nearest * known).sum() / known.sum().clamp(min=1)


@contextmanager
def _memory_told(batch: RapBatch) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # On a CPU torch raises a plain RuntimeError.
        if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and "allocate memory" not in str(error):
            raise
        raise SwerveError(
            f"memory does not suffice for {len(batch)} views of {batch.inputs.images.shape[1]} cameras. Make the "
            "batch, the images or the number of proposals or heights smaller, freeze the backbone, or use more GPUs"
        ) from error


def _seed(*key: int) -> int:
    """Return a seed that depends on all numbers of the key."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _under(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}."): one for name, one in tensors.items() if name.startswith(f"{part}.")}
