"""Planners that use images: importable by worker processes."""

import gc
import os
from pathlib import Path

import numpy as np

from swerve.scenes.planning import Observation, Trajectory


class Reddish:
    """Straight planner whose speed depends on the redness of its image."""

    cameras = ("front",)

    def plan(self, observation: Observation) -> Trajectory:
        speed = 4.0 + observation.images["front"][..., 0].mean() / 32.0
        seconds = 0.5 * np.arange(1, 9)
        return Trajectory(np.stack([speed * seconds, 0 * seconds, 0 * seconds], axis=1), 0.5)


class Preparing(Reddish):
    """One that halves its image first, where it may."""

    def prepare_image(self, image, camera):
        return image[::2, ::2].copy(), camera.resized(camera.width // 2, camera.height // 2)


class Seen(Preparing):
    """One that writes to a file what it sees: its images' shape and sum, its camera, and images alive in its process.

    Its process ends in a plan if a file `die` lies beside that file, and in a preparation if `die_preparing` does.
    """

    def __init__(self, path):
        self.path = Path(path)

    def prepare_image(self, image, camera):
        if image.sum() == 0 and (self.path.parent / "refuse_black").exists():
            raise ValueError("too dark")
        self._die_if("die_preparing")
        self._note(f"prepare {image.shape} writable {image.flags.writeable}")
        return super().prepare_image(image, camera)

    def plan(self, observation):
        self._die_if("die")
        (name,), (camera,) = observation.images, observation.cameras
        image = observation.images[name]
        self._note(
            f"plan {name} {image.shape} {image.sum()} writable {image.flags.writeable} {camera.name} {camera.width} "
            f"{camera.fx} prepared {observation.prepared} {type(observation).__name__}"
        )
        return super().plan(observation)

    def check_sensors(self):
        gc.collect()
        arrays = [one for one in gc.get_objects() if type(one).__name__ == "_HeldImages"]
        self._note(f"held {sum(len(one._images) for one in arrays)}")

    def _die_if(self, name):
        if (self.path.parent / name).exists():
            (self.path.parent / name).unlink()
            os._exit(3)

    def _note(self, line):
        with self.path.open("a") as file:
            file.write(line + "\n")


class TellsThreads:
    """One that fails, and tells how many threads libraries are to use."""

    cameras = ()

    def plan(self, observation):
        raise ValueError(f"threads: {os.environ.get('OMP_NUM_THREADS')}")
