"""Training step: trained parameters, learning rates, and the state of checkpoints."""

import copy
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from swerve.data.jobs.stopwatch import Stopwatch
from swerve.planners.learning.alignment import DomainClassifier, EmaTeacher, neck_of
from swerve.planners.learning.auxiliary import AuxiliaryHeads, auxiliary_figures, auxiliary_losses, bev_output
from swerve.planners.learning.families import build_model
from swerve.planners.learning.image_augmentation import grid_masked, jittered
from swerve.planners.learning.inputs import ModelInput
from swerve.planners.learning.losses import check_loss_names, losses_of
from swerve.planners.learning.model import PlannerModel
from swerve.planners.learning.model_config import ModelConfig
from swerve.planners.learning.parameter_groups import parameter_groups
from swerve.planners.learning.precision import autocast
from swerve.planners.learning.reduction import averaged_over, summed, world_size
from swerve.planners.learning.selection import best_proposal
from swerve.planners.learning.sharding import load_whole, shard, sharded_like, whole
from swerve.planners.learning.train_options import TrainingOptions
from swerve.planners.learning.training_batch import TrainingBatch
from swerve.scenes import SwerveError

_Ddp = nn.parallel.DistributedDataParallel


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
        self, config: ModelConfig, options: TrainingOptions, device: torch.device, rank: int = 0, world: int = 1
    ) -> None:
        self.config, self.options, self.device, self.rank = config, options, device, rank
        self.step, self.watch = 0, Stopwatch()
        torch.manual_seed(options.seed)
        self.model = build_model(config).to(device).train()
        neck = neck_of(self.model)
        self.classifier = DomainClassifier(config).to(device) if neck else None
        self.teacher = EmaTeacher(neck, config.teacher_ema_decay) if neck else None
        self.heads = AuxiliaryHeads(config).to(device) if config.auxiliary else None
        self.averaged_heads = copy.deepcopy(self.heads).requires_grad_(False) if self.heads else None
        self.average = _trained_copies(self.model)
        if options.compile:
            self.model.compile()
        forward = _Forward(self.model, self.classifier, options, self.heads)
        self.is_sharded = options.fsdp and world > 1
        if self.is_sharded:
            shard(forward)
            self.average = _trained_copies(self.model)
        self._trained = [one for one in forward.parameters() if one.requires_grad]
        groups = parameter_groups(forward, options)
        self._optimizer = torch.optim.AdamW(groups, options.learning_rate, weight_decay=options.weight_decay)
        # Parts without gradients: losses of weight zero, and alignment before it begins.
        weights = (config.score_weight, config.imitation_weight, config.domain_weight)
        unused = 0.0 in weights or config.alignment_start > 0.0
        self._forward: nn.Module = forward
        if world > 1 and not self.is_sharded:
            self._forward = nn.parallel.DistributedDataParallel(forward, find_unused_parameters=unused)

    def train_step(self, *batches: TrainingBatch) -> dict[str, int | float]:
        """Run one training step on one batch, or on several whose gradients are averaged; return its metrics.

        Raises:
            SwerveError: a loss is not finite, or memory does not suffice.
        """
        rate = self.options.learning_rate_at(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["lr_multiplier"]
        watch = self.watch
        with _memory_told(batches[0]), watch.measure("step"):
            self._optimizer.zero_grad(set_to_none=True)
            notes = [self._differentiated(batch, part, len(batches)) for part, batch in enumerate(batches)]
            noted = _means(notes)
            self._check(noted)
            with watch.measure("optimizer"):
                norm = self._updated()
        self.step += 1
        return {"step": self.step, "lr": rate, **noted, "grad_norm": norm}

    def _differentiated(self, batch: TrainingBatch, part: int, count: int) -> dict[str, Tensor]:
        """Add the gradients of one of a step's batches; return its metrics."""
        key = (self.options.seed, self.step, self.rank)
        torch.manual_seed(_seed(*key, part) if part else _seed(*key))
        with _summing(self._forward, part == count - 1):
            with self.watch.measure("forward"):
                moved, progress = batch.to(self.device), self.step / self.options.steps
                total, notes = self._forward(moved, self.teacher, progress, self.watch)
            with self.watch.measure("backward"):
                (total / count if count > 1 else total).backward()
        return dict(notes)

    def averaged_model(self) -> PlannerModel:
        """Return a network with the averaged weights, in evaluation mode; it shares those that are not trained."""
        if self.is_sharded:
            model = build_model(self.config, weights=False).to(self.device)
            tensors = {**self.model.state_dict(), **self.average}
            model.load_state_dict({name: whole(one) for name, one in tensors.items()})
            return model.eval()
        frozen = {id(one): one for one in self.model.parameters() if not one.requires_grad}
        model = copy.deepcopy(self.model, frozen)
        model.load_state_dict(self.average, strict=False)
        return model.eval()

    def state_dict(self) -> dict[str, Tensor]:
        """Return all tensors that change in training and that the next steps depend on, by name; all are whole.

        If the training is sharded, all processes must ask for it.
        """
        frozen = {f"model.{name}" for name, one in self.model.named_parameters() if not one.requires_grad}
        parts = {"model": self.model, **self._beside}
        tensors = {
            f"{part}.{name}": one
            for part, module in parts.items()
            if module
            for name, one in module.state_dict().items()
            if f"{part}.{name}" not in frozen
        }
        tensors |= {f"average.{name}": one for name, one in self.average.items()}
        kept = self._optimizer.state_dict()["state"]
        tensors |= {f"optimizer.{row}.{name}": one for row, own in kept.items() for name, one in own.items()}
        # In one order in all processes: a file's tensors have none.
        return {name: whole(tensors[name]) for name in sorted(tensors)}

    @property
    def _beside(self) -> dict[str, nn.Module | None]:
        """Modules of the training that are no part of the network."""
        return {
            "classifier": self.classifier,
            "teacher": self.teacher,
            "heads": self.heads,
            "averaged_heads": self.averaged_heads,
        }

    @cached_property
    def frozen_digest(self) -> str:
        """SHA-256 of the parameters that are not trained, which checkpoints leave out; computed once."""
        content = hashlib.sha256()
        for name, one in self.model.named_parameters():
            if not one.requires_grad:
                value = whole(one.detach()).cpu().contiguous()
                content.update(name.encode() + value.view(torch.uint8).numpy().tobytes())
        return content.hexdigest()

    def load_state_dict(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Restore the result of `state_dict` after the given number of steps.

        Raises:
            RuntimeError: the tensors are of another network.
        """
        frozen = {name: one for name, one in self.model.named_parameters() if not one.requires_grad}
        load_whole(self.model, {**frozen, **_under(tensors, "model")})
        for part, module in self._beside.items():
            if module:
                load_whole(module, _under(tensors, part))
        for name, one in _under(tensors, "average").items():
            self.average[name].copy_(sharded_like(one, self.average[name]))
        state = self._optimizer.state_dict()
        state["state"] = {}
        members = [one for group in self._optimizer.param_groups for one in group["params"]]
        for name, one in _under(tensors, "optimizer").items():
            row, key = name.split(".")
            placed = sharded_like(one, members[int(row)]) if one.ndim else one
            state["state"].setdefault(int(row), {})[key] = placed
        self._optimizer.load_state_dict(state)
        self.step = step

    def _updated(self) -> float:
        """Apply an optimizer step; return the gradient norm before clipping."""
        norm = nn.utils.clip_grad_norm_(self._trained, self.options.max_grad_norm)
        self._optimizer.step()
        neck = neck_of(self.model)
        if self.teacher and neck:
            self.teacher.update(neck)
        self._update_average()
        return float(whole(norm))

    @torch.no_grad()
    def _update_average(self) -> None:
        """Update the averaged weights; the decay is smaller early on, since the initial weights are meaningless."""
        decay = min(self.options.weight_ema_decay, (1 + self.step) / (10 + self.step))
        for name, one in self.model.named_parameters():
            if name in self.average:
                self.average[name].lerp_(one.detach(), 1.0 - decay)
        if self.heads and self.averaged_heads:
            for slow, quick in zip(self.averaged_heads.parameters(), self.heads.parameters(), strict=True):
                slow.lerp_(whole(quick.detach()), 1.0 - decay)

    def _check(self, noted: Mapping[str, float]) -> None:
        if not np.isfinite(noted["total"]):
            parts = ", ".join(f"{name} {value:g}" for name, value in noted.items() if not name.startswith("ade_"))
            raise SwerveError(f"step {self.step}: the loss is not finite ({parts}). Lower the learning rate")


class _Forward(nn.Module):
    """Losses of a batch as one module, whose gradients DDP averages."""

    def __init__(
        self,
        model: PlannerModel,
        classifier: DomainClassifier | None,
        options: TrainingOptions,
        heads: AuxiliaryHeads | None = None,
    ) -> None:
        super().__init__()
        self.model, self.classifier, self.options, self.heads = model, classifier, options, heads

    def forward(
        self, batch: TrainingBatch, teacher: EmaTeacher | None, progress: float, watch: Stopwatch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss, and its parts and the errors of the proposals: tensors, whose gradients FSDP can follow."""
        config = self.model.config
        with autocast(self.options.precision, batch.targets.device):
            inputs = augmented(batch.inputs, config)
            output = self.model(inputs)
            own, figures = dict(self.model.extra_losses(output, batch)), {}
            check_loss_names(own)
            if self.heads is not None:
                found = bev_output(self.heads, output.placed, inputs)
                own |= auxiliary_losses(found, batch)
                figures = auxiliary_figures(found, batch)
            losses = losses_of(
                output, batch, config, teacher, self.classifier, progress, watch, self.options.scoring_threads, own
            )
        with torch.no_grad():
            chosen = displacement(best_proposal(output.logits, output.poses, config)[:, None], batch)
            notes = {"ade_best": displacement(output.poses, batch), "ade_chosen": chosen, **figures}
        return losses.total, {**{name: one.detach() for name, one in losses.parts.items()}, **notes}


@contextmanager
def _summing(forward: nn.Module, last: bool) -> Iterator[None]:
    """Add up the gradients of a step's batches in each process; with the last one, average them over the processes."""
    set_sync = getattr(forward, "set_requires_gradient_sync", None)
    if set_sync is not None:
        set_sync(last)
    with forward.no_sync() if isinstance(forward, _Ddp) and not last else nullcontext():
        yield


def augmented(inputs: ModelInput, config: ModelConfig) -> ModelInput:
    """Augment a training batch's inputs as the config says."""
    images = inputs.images
    if config.color_jitter:
        images = jittered(images, config.color_jitter)
    if config.grid_mask:
        images = grid_masked(images, config.grid_mask)
    return hidden_status(replace(inputs, images=images), config.status_dropout)


def hidden_status(inputs: ModelInput, share: float) -> ModelInput:
    """Hide the ego status and the past of a random share of samples: zeros, and no command."""
    if not share:
        return inputs
    kept = (torch.rand(len(inputs), device=inputs.status.device) >= share).to(inputs.status)
    return replace(inputs, status=inputs.status * kept[:, None], past=inputs.past * kept[:, None, None])


def displacement(poses: Float[Tensor, "b n k 3"], batch: TrainingBatch) -> Float[Tensor, ""]:
    """Compute the mean distance of the nearest proposals to the targets, over known poses, metres."""
    distances = (poses[..., :2] - batch.targets[:, None, :, :2]).norm(dim=-1)
    distances = torch.where(batch.valid[:, None], distances, 0.0).sum(dim=-1)
    nearest = (distances / batch.valid.sum(dim=1).clamp(min=1)[:, None]).amin(dim=1)
    known = batch.valid.any(dim=1)
    return averaged_over((nearest * known).sum(), known.sum())


def _means(notes: list[dict[str, Tensor]]) -> dict[str, float]:
    """Average metrics over a step's batches and over all processes; the device is waited for once."""
    table = torch.stack([torch.stack([one.detach().float() for one in note.values()]) for note in notes])
    means = summed(table.mean(dim=0)) / world_size()
    return dict(zip(notes[0], means.tolist(), strict=True))


@contextmanager
def _memory_told(batch: TrainingBatch) -> Iterator[None]:
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


def _trained_copies(model: nn.Module) -> dict[str, Tensor]:
    """Copy the parameters that are trained."""
    return {name: one.detach().clone() for name, one in model.named_parameters() if one.requires_grad}


def _under(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}."): one for name, one in tensors.items() if name.startswith(f"{part}.")}
