"""Pretraining of the tiny backbone for experiments on towns, in place of DINO weights.

It predicts the share of road, marking, car, ... in every patch, in photos and rasters of logged viewpoints, with one
head per domain, so that nothing aligns the features of the two domains. Usage:

    swerve augment town:2000-2199 SET --viewpoints logged --photos --extra-outputs semantic --scene-interval 2 \
        --size 80x48 --fit stretch --cameras front
    python -m experiments.tiny_backbone SET WEIGHTS.safetensors
"""

import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image

from swerve.planners.learning.backbone import build_backbone
from swerve.planners.rap.rap_config import RapConfig
from swerve.scenes.primitives import Semantic

STEPS, BATCH, RATE, PATCH = 1500, 16, 2e-3, 8
LOOKS = {"raster": "front.png", "photo": "front.photo.jpg"}


def main(folder: Path, path: Path) -> None:
    """Train, print the accuracy on held-out towns, and write the weights."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    train, held = samples(folder / "train"), samples(folder / "test")
    height, width = train["raster"].shape[2:]
    config = RapConfig.tiny(image_width=width, image_height=height)
    backbone = build_backbone(config)
    heads = torch.nn.ModuleDict({look: torch.nn.Conv2d(backbone.width, len(Semantic), 1) for look in LOOKS})
    optimizer = torch.optim.AdamW([*backbone.parameters(), *heads.parameters()], RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS)
    generator = np.random.default_rng(0)
    for step in range(1, STEPS + 1):
        rows = generator.integers(0, len(train["shares"]), BATCH)
        loss = sum(cross_entropy(backbone, heads[look], look, train, rows) for look in LOOKS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 250 == 0:
            print(step, {look: told(backbone, heads[look], look, held) for look in LOOKS}, flush=True)
    path.write_bytes(
        safetensors.torch.save({name: one.contiguous() for name, one in backbone.body.state_dict().items()})
    )


def samples(folder: Path) -> dict[str, torch.Tensor]:
    """Load photos and rasters, and the share of each class in every patch."""
    found: dict[str, list[np.ndarray]] = {"raster": [], "photo": [], "shares": []}
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as tar:
            members = {entry.name.split(".", 1)[1]: [] for entry in tar}
            for entry in tar.getmembers():
                members[entry.name.split(".", 1)[1]].append(entry)
            for look, ending in LOOKS.items():
                found[look] += [pixels(tar, entry) for entry in members[ending]]
            found["shares"] += [shares(pixels(tar, entry)) for entry in members["front.semantic.png"]]
    assert len({len(rows) for rows in found.values()}) == 1, f"{folder}: samples without photograph or classes"
    stacked = {name: torch.as_tensor(np.stack(rows)) for name, rows in found.items()}
    return {name: one.movedim(-1, 1).contiguous() for name, one in stacked.items()}


def pixels(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> np.ndarray:
    """Read an image of a shard."""
    file = tar.extractfile(entry)
    assert file is not None
    return np.asarray(Image.open(io.BytesIO(file.read())))


def shares(semantic: np.ndarray) -> np.ndarray:
    """Compute the share of each class in every patch; rows x columns x classes."""
    rows, columns = (size // PATCH for size in semantic.shape)
    patches = semantic.reshape(rows, PATCH, columns, PATCH)
    return np.stack([(patches == kind).mean(axis=(1, 3)) for kind in Semantic], axis=-1).astype(np.float32)


def cross_entropy(backbone, head, look: str, known: dict[str, torch.Tensor], rows: np.ndarray) -> torch.Tensor:
    """Compute the cross entropy of the predicted shares."""
    logits = head(backbone(known[look][rows]))
    return torch.nn.functional.cross_entropy(logits, known["shares"][rows])


@torch.inference_mode()
def told(backbone, head, look: str, held: dict[str, torch.Tensor]) -> dict[str, float]:
    """Evaluate on held-out towns: explained entropy of the shares, and accuracy of each patch's largest share."""
    logits, wanted = head(backbone(held[look])), held["shares"]
    usual = wanted.mean(dim=(0, 2, 3), keepdim=True).clamp(min=1e-9).log()
    own = -(wanted * wanted.clamp(min=1e-9).log()).sum(dim=1).mean()
    loss = torch.nn.functional.cross_entropy(logits, wanted) - own
    base = -(wanted * usual).sum(dim=1).mean() - own
    right = (logits.argmax(dim=1) == wanted.argmax(dim=1)).float().mean()
    return {"explained": round(1 - float(loss / base), 3), "right": round(float(right), 3)}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
