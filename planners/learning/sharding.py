"""Sharding of parameters, gradients and optimizer state over the processes of a training (FSDP2).

Checkpoints and planners hold whole tensors, so that they do not depend on the number of processes.
"""

from typing import Any

import torch
from torch import Tensor, nn

from swerve.scenes import SwerveError


def shard(module: nn.Module) -> None:
    """Shard a module in place over all processes, block by block, so that one block at a time is whole.

    Source: `torch.distributed.fsdp.fully_shard`.

    Raises:
        SwerveError: torch is too old for it.
    """
    from torch.distributed.device_mesh import init_device_mesh

    try:
        from torch.distributed.fsdp import fully_shard
    except ImportError as error:
        raise SwerveError("fsdp: needs torch 2.6 or newer. Leave it out, or update torch") from error
    device = next(module.parameters()).device.type
    mesh = init_device_mesh(device, (torch.distributed.get_world_size(),))
    for name, one in list(module.named_modules()):
        if isinstance(one, nn.ModuleList) and name.rpartition(".")[2] == "blocks":
            for block in one:
                fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)


def whole(value: Tensor) -> Tensor:
    """Return the whole of a tensor that may be sharded; all processes must ask for it."""
    full: Tensor = value.full_tensor() if _is_sharded(value) else value  # type: ignore[attr-defined]
    return full


def sharded_like(value: Tensor, reference: Tensor) -> Tensor:
    """Return a whole tensor, which all processes have, sharded as another one is."""
    if not _is_sharded(reference):
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(reference, DTensor)
    placed = value.to(reference.device)
    return distribute_tensor(placed, reference.device_mesh, reference.placements, src_data_rank=None)


def load_whole(module: nn.Module, tensors: dict[str, Tensor], strict: bool = True) -> Any:  # noqa: ANN401 torch's own
    """Load whole tensors into a module that may be sharded, see `Module.load_state_dict`."""
    own = module.state_dict()
    fitting = {name: sharded_like(one, own[name]) if name in own else one for name, one in tensors.items()}
    return module.load_state_dict(fitting, strict=strict)


def _is_sharded(value: Tensor) -> bool:
    """Test whether a tensor is a DTensor, without importing its module, which takes most of a second."""
    return hasattr(value, "device_mesh")
