"""Shared network layers."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class SelfAttentionBlock(nn.Module):
    """Pre-norm transformer block: self-attention, then an MLP per token, both with residual connections."""

    def __init__(self, width: int, hidden: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.output_projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = mlp(width, hidden, width)

    def forward(self, tokens: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        """Apply the block to tokens."""
        tokens = tokens + self._dropped(self._attended(self.attention_norm(tokens)))
        return tokens + self._dropped(self.mlp(self.mlp_norm(tokens)))

    def _attended(self, tokens: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        parts = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts.unbind(0))
        attended: Float[Tensor, "n t d"] = self.output_projection(mixed.transpose(1, 2).flatten(2))
        return attended

    def _dropped(self, tokens: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        return functional.dropout(tokens, self.dropout, self.training)


def mlp(*widths: int) -> nn.Sequential:
    """Build an MLP: linear layers with GELU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.GELU()]
    return nn.Sequential(*layers[:-1])


def begin_at_zero(layer: nn.Module) -> None:
    """Set all parameters of a layer to zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def fourier_features(values: Float[Tensor, "*b v"], waves: int) -> Float[Tensor, "*b o"]:
    """Compute sines and cosines of each value at frequencies pi, pi 2^(1/2), pi 2, ...; 2 * v * waves columns.

    Source: Mildenhall et al., "NeRF", 2020, with twice as many frequencies per octave.
    """
    steps = torch.arange(waves, device=values.device, dtype=values.dtype) / 2
    angles = (values[..., None] * (torch.pi * 2**steps)).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
