"""Sums over all processes of distributed training."""

import torch
from jaxtyping import Float, Num
from torch import Tensor


def world_size() -> int:
    """Return the number of training processes."""
    ready = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if ready else 1


@torch.no_grad()
def summed(value: Num[Tensor, "*s"]) -> Num[Tensor, "*s"]:
    """Return the sum of the processes' values, without gradients. All processes must call it, in the same order."""
    if world_size() < 2:
        return value.detach()
    total = value.detach().clone()
    torch.distributed.all_reduce(total)
    return total


def averaged_over(total: Float[Tensor, ""], count: Num[Tensor, ""], least: float = 1e-6) -> Float[Tensor, ""]:
    """Return this process's share of the mean over all processes: its sum over everybody's count, times their number.

    Gradients that are averaged over the processes, as DDP does, are then those of the mean over all samples, however
    they are spread.

    Args:
        total: sum of this process's losses.
        count: this process's number of samples, or sum of weights.
        least: what everybody's count is at least taken as.
    """
    return total * world_size() / summed(count).clamp(min=least)
