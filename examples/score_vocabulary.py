"""Score a vocabulary of trajectories within a training loop: `python examples/score_vocabulary.py`."""

import numpy as np
import torch

import swerve


def vocabulary() -> torch.Tensor:
    """(n, 8, 3): arcs of constant speed and curvature, poses every 0.5 s in the ego frame."""
    seconds = 0.5 * torch.arange(1, 9)
    speed, curvature = torch.meshgrid(torch.linspace(0, 15, 8), torch.linspace(-0.1, 0.1, 8), indexing="ij")
    heading = speed.reshape(-1, 1) * curvature.reshape(-1, 1) * seconds
    distance = speed.reshape(-1, 1) * seconds
    x, y = distance * torch.sinc(heading / np.pi), distance * torch.sinc(heading / (2 * np.pi)) * torch.sin(heading / 2)
    return torch.stack([x, y, heading], dim=-1)


def main() -> None:
    """Learns to predict each entry's EPDMS from the ego's velocity and acceleration."""
    torch.manual_seed(0)
    source = swerve.open_source("town:1")
    scenes = swerve.extract_scenes(source.load(source.names()[0]), history=2.0, future=4.5, interval=4.0)
    contexts = [swerve.build_context(scene) for scene in scenes]  # once per scene; `save_context` keeps them on disk
    states = [
        np.concatenate([scene.ego.velocity[scene.history], scene.ego.acceleration[scene.history]]) for scene in scenes
    ]
    inputs = torch.tensor(np.array(states), dtype=torch.float32)
    entries = vocabulary()
    network = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.ReLU(), torch.nn.Linear(64, len(entries)))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for step in range(20):
        batch = torch.randint(len(contexts), (4,))
        chosen = [contexts[row] for row in batch]
        # (b, n): exact sub-scores of every entry in every scene; no gradient flows through them.
        exact = swerve.score_tensor(chosen, entries.expand(len(chosen), -1, -1, -1), threads=2).pdm_score
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(inputs[batch]), exact)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 9:
            print(f"step {step + 1}: loss {loss.item():.3f}, best entry per scene {exact.max(dim=1).values.tolist()}")


if __name__ == "__main__":
    main()
