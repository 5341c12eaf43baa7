"""Precision of training, validation and inference."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from swerve.planners.learning.train_options import Precision


def is_mixed(precision: Precision, device: torch.device) -> bool:
    """Return whether a precision means bfloat16 on a device."""
    return precision == "bf16" or (precision == "auto" and device.type == "cuda")


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which operators run in bfloat16 where it is safe, if the precision asks for it."""
    context: AbstractContextManager[None] = torch.autocast(
        device.type, torch.bfloat16, enabled=is_mixed(precision, device)
    )
    return context


@contextmanager
def float32_matmul(tf32: bool) -> Iterator[None]:
    """Let GPUs multiply float32 matrices in TensorFloat-32, or not: a setting of the process, restored afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
