"""Low-rank additions to the linear layers of a frozen network."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class LowRankLinear(nn.Module):
    """Frozen linear layer plus a trained product of two thin matrices, which begins at zero.

    Source: Hu et al., "LoRA", 2022. Its own names are those of the layer, so that files of weights still fit.
    """

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        first = torch.randn(rank, layer.in_features) / layer.in_features**0.5
        self.down = nn.Parameter(first.to(layer.weight))
        self.up = nn.Parameter(layer.weight.new_zeros(layer.out_features, rank))

    def forward(self, values: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
        """Apply the layer with its addition."""
        plain = functional.linear(values, self.weight, self.bias)
        return plain + functional.linear(functional.linear(values, self.down), self.up)


def adapt(network: nn.Module, rank: int) -> None:
    """Replace all linear layers of a network by `LowRankLinear`; its other parameters stay as they are."""
    for name, child in list(network.named_children()):
        if isinstance(child, nn.Linear):
            setattr(network, name, LowRankLinear(child, rank))
        else:
            adapt(child, rank)
