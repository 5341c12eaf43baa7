"""Fit of a scene to one log, with checkpoints; resumable after `kill -9`.

The log's folder holds the scene (`splat_files`), `preview.jpg`, `progress.json` and, last of all, `fit.json`; during a
fit also `state.safetensors`, from which the same call resumes. What is printed is shown where the job was started.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import simplejpeg
from jaxtyping import Float

from swerve.data.jobs import ProgressCallback
from swerve.data.jobs.log_digest import whole_log_digest
from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.fit_outputs import FIT
from swerve.data.splats.held_out_quality import Quality, evaluate_quality, exposures_between, render_at
from swerve.data.splats.image_priors import image_priors
from swerve.data.splats.initialization import initial_scene
from swerve.data.splats.log_images import LogImages, PosedImage, images_of_log, training_poses
from swerve.data.splats.memory_bound import memory_line
from swerve.data.splats.moving_tracks import box_size, moving_rows
from swerve.data.splats.optimization.fit_scene import Progress, fit_scene
from swerve.data.splats.optimization.fit_state import FitCheckpoint
from swerve.data.splats.optimization.regularization import Ground
from swerve.data.splats.optimization.training_images import TrainingImage
from swerve.data.splats.photo_poses import write_training_poses
from swerve.data.splats.pose_corrections import corrected
from swerve.data.splats.splat_files import write_splats
from swerve.data.storage.checked_json import anything, list_of, mapping_of, read_json
from swerve.data.storage.files import (
    PART,
    file_digest,
    make_folder,
    os_errors_as_swerve_errors,
    remove_file,
    remove_leftovers,
    to_json,
    write_atomically,
)
from swerve.rasterizer.splats.splat_scene import SplatScene
from swerve.scenes import Camera, Log
from swerve.scenes.camera_roles import cameras_named

AGAIN = "Remove it and run the same command again"
_STATE, _HISTORY, PREVIEW = "state.safetensors", "progress.json", "preview.jpg"
_WORKING = (_STATE, _HISTORY, PREVIEW)
# Number of quality evaluations per fit, and photos per evaluation.
_MEASURES, _MEASURED = 10, 5
# Fitted photos whose quality is stated.
_FITTED = 16
_PREVIEWED, _PREVIEW_QUALITY = 3, 90
# Without a map: distance beside the driven path within which the ground height is known, metres.
_BESIDE = 1.5


def fit_log(
    log: Log,
    folder: Path,
    options: SceneOptions,
    versions: Mapping[str, str],
    checkpoint_seconds: float,
    report: ProgressCallback,
) -> None:
    """Fit one log's scene and write it, fit.json last; a fit with a checkpoint resumes.

    Args:
        log: the log.
        folder: of the log.
        options: of the scene.
        versions: of the packages, for fit.json.
        checkpoint_seconds: time between checkpoints.
        report: called after each step.

    Raises:
        SwerveError: the log cannot be fitted, the checkpoint is damaged, or the folder cannot be written.
    """
    make_folder(folder)
    remove_leftovers(folder)  # as of a run of an array, which was killed at a checkpoint
    images = images_of_log(log, options)
    print(f"{log.name}: {memory_line(images, options)}")
    known = image_priors(log, images.train)
    # Half of the Gaussians may exist at first; densification places the others.
    start = initial_scene(log, known, options.fit.densification.max_gaussians // 2)
    shots = [view.to_training_image for view in known]
    watch = _Watch(log.name, folder, images, shots, options, checkpoint_seconds)
    note = partial(watch.note, report)
    fitted = fit_scene(start, shots, options.fit, ground_of(log), _sizes(log), note, watch.state)
    scene, threads = corrected(fitted.scene, shots, fitted.world_from_ego), options.fit.threads
    own = fitted.exposures.astype(np.float64)
    record = {
        "log": log.name,
        "source": log.source,
        "digest": whole_log_digest(log),
        "options": asdict(options),
        "versions": dict(versions),
        "train_images": len(images.train),
        "started_with": _count(start),
        "gaussians": _count(scene),
        "nodes": len(scene.nodes),
        "seconds": watch.seconds,
        "cpu_seconds": watch.cpu_seconds,
        **_quality(scene, images, own, options, cameras_named(log.cameras, options.test_cameras)),
    }
    with os_errors_as_swerve_errors(folder):
        write_splats(scene, folder)
        write_atomically(folder / PREVIEW, preview(scene, images, threads))
        write_training_poses(folder, training_poses(log, options))
        files = sorted(path for path in folder.iterdir() if path.name not in (*_WORKING, FIT) and path.suffix != PART)
        record["sha256"] = {path.name: file_digest(path) for path in files}
        write_atomically(folder / FIT, to_json(record))
        remove_file(folder / _STATE)


def _quality(
    scene: SplatScene,
    images: LogImages,
    exposures: Float[np.ndarray, "n 3 4"],
    options: SceneOptions,
    test_cameras: Mapping[str, Camera],
) -> dict[str, Any]:
    """Return the quality of held-out photos, as rendered and with interpolated exposures, and of each test camera.

    Beside them is that of at most 16 fitted photos, with their own exposures: what is far better was learnt by heart.
    """
    quality = partial(evaluate_quality, scene, threads=options.fit.threads)
    of_cameras = {
        name: [image for image in images.test_cameras if image.camera.name == camera.name]
        for name, camera in test_cameras.items()
    }
    rows = _spread(len(images.train), _FITTED)
    between = exposures_between(images.held_out, images.train, exposures)
    return {
        "fitted": _as_json(quality([images.train[row] for row in rows], exposures[rows])),
        "held_out": _as_json(quality(images.held_out, None)),
        "held_out_exposed": _as_json(quality(images.held_out, between)),
        "test_cameras": {name: _as_json(quality(own, None)) for name, own in of_cameras.items()},
    }


class _Watch:
    """Callback of a fit: writes checkpoints, evaluates quality, and renders the preview.

    Attributes:
        state: checkpoint of an earlier run, or None.

    Args:
        log: its name.
        folder: folder of the log.
        images: images of the log.
        shots: training images.
        options: of the scene.
        state_every: seconds between checkpoints.
    """

    def __init__(
        self,
        log: str,
        folder: Path,
        images: LogImages,
        shots: Sequence[TrainingImage],
        options: SceneOptions,
        state_every: float,
    ) -> None:
        self._log, self._folder, self._images, self._shots = log, folder, images, shots
        self._options, self._state_every = options, state_every
        self._measured = _some(images.held_out, _MEASURED)
        self.state, self._history = _left_state(folder), list[dict[str, int | float]]()
        if self.state is not None:
            self._history = [e for e in _left_history(folder) if e["step"] <= self.state.step]
        last = self._history[-1] if self._history else {}
        self._before, self._cpu_before = last.get("seconds", 0.0), last.get("cpu_seconds", 0.0)
        self._begin = self._saved = time.monotonic()
        self._cpu_begin = time.process_time()
        self._every = max(options.fit.steps // _MEASURES, 1)

    @property
    def seconds(self) -> float:
        """Seconds spent on the fit, including earlier runs (up to their last evaluation)."""
        return self._before + time.monotonic() - self._begin

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all cores spent on the fit, including earlier runs: independent of the machine's load."""
        return self._cpu_before + time.process_time() - self._cpu_begin

    def note(self, report: ProgressCallback, progress: Progress) -> None:
        """Handle the end of a training step."""
        if progress.step % self._every == 0:
            self._measure(progress)
        if time.monotonic() - self._saved > self._state_every:
            with os_errors_as_swerve_errors(self._folder):
                write_atomically(self._folder / _STATE, progress.state().to_bytes())
            self._saved = time.monotonic()
        report(self._log, 0, progress.step / progress.steps)

    def _measure(self, progress: Progress) -> None:
        fitted, threads = progress.fitted(), self._options.fit.threads
        scene = corrected(fitted.scene, self._shots, fitted.world_from_ego)
        found = evaluate_quality(scene, self._measured, None, threads)
        values = {"psnr": found.psnr, "ssim": found.ssim} if found else {}
        counts = {"step": progress.step, "gaussians": progress.count, "loss": progress.loss}
        times = {"seconds": self.seconds, "cpu_seconds": self.cpu_seconds}
        self._history.append({**counts, **times, **values})
        held_out = f", held out {found.psnr:.1f} dB" if found else ""
        print(f"{self._log}: step {progress.step}: {progress.count} Gaussians, loss {progress.loss:.3f}{held_out}")
        with os_errors_as_swerve_errors(self._folder):
            write_atomically(self._folder / _HISTORY, to_json(self._history))
            write_atomically(self._folder / PREVIEW, preview(scene, self._images, threads))


def preview(scene: SplatScene, images: LogImages, threads: int = 1) -> bytes:
    """Render a preview JPEG: up to three photos, held-out ones if available, each above the scene's rendering."""
    chosen = _some(images.held_out or images.train, _PREVIEWED)
    columns = [np.concatenate([image.rgb, render_at(scene, image, None, threads)]) for image in chosen]
    height = max(len(column) for column in columns)
    sheet = np.concatenate([np.pad(c, ((0, height - len(c)), (0, 0), (0, 0))) for c in columns], axis=1)
    jpeg: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(sheet), quality=_PREVIEW_QUALITY, colorspace="RGB")
    return jpeg


def ground_of(log: Log) -> Ground:
    """Return the ground height function: of the map, or else of the driven path.

    Without a map the ground is level across the path, and known up to 1.5 m beside it.
    """
    if log.road_map is not None and log.road_map.has_height:
        return log.road_map.ground.at
    path = log.ego.positions

    def height(places: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
        distance, nearest = scipy.spatial.cKDTree(path[:, :2]).query(places)
        return np.where(distance < _BESIDE, path[nearest, 2], np.nan)

    return height


def _sizes(log: Log) -> dict[str, Float[np.ndarray, "3"]]:
    """Return the box sizes of the moving tracks by id."""
    tracks = log.tracks
    return {tracks.ids[row]: box_size(tracks, row) for row in moving_rows(tracks).tolist()}


def _some(images: Sequence[PosedImage], count: int) -> list[PosedImage]:
    """Select `count` images, evenly spaced; all if there are fewer."""
    return [images[row] for row in _spread(len(images), count)]


def _spread(size: int, count: int) -> list[int]:
    """Return `count` rows of so many, evenly spaced; all if there are fewer."""
    rows: list[int] = np.unique(np.linspace(0, size - 1, count).astype(int)).tolist() if size else []
    return rows


def _count(scene: SplatScene) -> int:
    return sum(len(part) for part in (scene.background, *(node.gaussians for node in scene.nodes)))


def _as_json(found: Quality | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)


def _left_state(folder: Path) -> FitCheckpoint | None:
    path = folder / _STATE
    return FitCheckpoint.from_bytes(path.read_bytes()) if path.is_file() else None


def _left_history(folder: Path) -> list[dict[str, int | float]]:
    path = folder / _HISTORY
    history: list[dict[str, Any]] = read_json(path, list_of(mapping_of(anything)), AGAIN) if path.is_file() else []
    return history
