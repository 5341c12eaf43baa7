"""Augment a log and load the samples in PyTorch: `python examples/augment_and_load.py [FOLDER]`."""

import sys
from pathlib import Path

import torch

from swerve.data import open_source
from swerve.data.dataset import AugmentOptions, augment
from swerve.data.stream import ImageFit, Part, SampleStream, StreamLoader, StreamOptions


def main(folder: Path) -> None:
    """Writes a small training set, streams batches of it, and takes one training step."""
    options = AugmentOptions(cameras=("front",), size=(192, 112), every=2.0)
    report = augment([open_source("town:1")], folder, options, workers=1)
    print("samples and rejections:", report.summary)

    # Every batch holds the same number of samples of each part, whatever the order.
    stream = SampleStream(
        folder,
        StreamOptions(
            parts=(Part("raster_only", 0.5), Part("recovery", 0.5)), fit=ImageFit((96, 56)), cameras=("front",), batch=8
        ),
        rank=0,
        world=1,
    )
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(64), torch.nn.ReLU(), torch.nn.LazyLinear(24))
    optimizer = None
    for batch in StreamLoader(stream, steps=2, workers=0):
        tensors = batch.to("cpu")
        images = tensors.raster[:, 0].float() / 255  # (b, 3, h, w); uint8 until here
        target = tensors.target_2hz[:, :8].float()  # x, y, heading every 0.5 s, ego frame
        valid = tensors.target_2hz_valid[:, :8, None]
        loss = ((network(images).view(-1, 8, 3) - target).abs() * valid).mean()
        optimizer = optimizer or torch.optim.Adam(network.parameters(), 1e-3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {tensors.step}: images {tuple(images.shape)}, loss {loss.item():.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/examples/town"))
