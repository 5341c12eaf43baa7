"""Augment a log and load the samples in PyTorch: `python examples/augment_and_load.py [FOLDER]`."""

import sys
from pathlib import Path

import torch

import swerve


def main(folder: Path) -> None:
    """Writes a small training set, streams batches of it, and takes one training step."""
    options = swerve.AugmentOptions(cameras=("front",), size=(192, 112), scene_interval=2.0)
    report = swerve.augment(["town:1"], folder, options, workers=1)
    print("samples and rejections:", report.summary)

    # Every batch holds the same number of samples of each part, whatever the order.
    parts = (swerve.Part("raster_only", 0.5), swerve.Part("recovery", 0.5))
    wanted = swerve.StreamOptions(parts, swerve.ImageFit((96, 56)), cameras=("front",), batch_size=8)
    stream = swerve.SampleStream(folder, wanted, rank=0, world=1)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(64), torch.nn.ReLU(), torch.nn.LazyLinear(24))
    optimizer = None
    for batch in swerve.StreamLoader(stream, steps=2, workers=0):
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
