"""Specification of hidden states of a vision-language model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HiddenStateSpec:
    """Specification of what is computed of each view.

    Attributes:
        digest: of the model's files.
        layer: number of the layer whose states are taken: 0 for the embeddings, -1 for the last.
        tokens: number of tokens; the states along the sequence are averaged in so many parts.
        prompt: text that follows the images.
        width: dimension of the states.
    """

    digest: str
    layer: int
    tokens: int
    prompt: str
    width: int
