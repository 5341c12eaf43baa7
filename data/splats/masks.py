"""Masks: which pixels of photographs say nothing of the scene, as a user knows it.

A folder of masks holds PNG files in which what is to be ignored is white. `CAMERA.png` is of all photographs of a
camera: the car's own bonnet. `LOG/CAMERA/NAME.png` is of the photograph whose file is called NAME: somebody who walks
there and has no track. Each has the shape of its photographs, in any size.
"""

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image
from scipy.ndimage import minimum_filter

from swerve.data.splats.optimization.training_images import WINDOW
from swerve.data.storage.files import safe_name
from swerve.scenes import Camera, Log, LogError, Photo, SwerveError

# The grey level from which on a pixel of a mask is white.
_WHITE = 128


def ignored_in(folder: Path, log: Log, camera: Camera, photo: Photo | None) -> Bool[np.ndarray, "h w"] | None:
    """What is to be ignored of an image, in the camera's size; None if nothing is.

    Args:
        folder: of masks.
        log: that the image is of.
        camera: with the size of the image. A pixel is ignored if the mask covers some of it.
        photo: what the image is of; None if it is drawn.

    Raises:
        LogError: a mask cannot be read or is of another shape, or not one window is left to compare.
    """
    files = [folder / f"{camera.name}.png"]
    if photo is not None:
        files.append(folder / safe_name(log.name) / camera.name / f"{photo.file.stem}.png")
    masks = [_read(file, camera) for file in files if file.is_file()]
    if not masks:
        return None
    ignored = np.logical_or.reduce(masks)
    if not whole_windows(ignored).any():
        raise LogError(files[-1], "mask", "nothing is left of its photograph", "Leave the camera out, with --cameras")
    return ignored


def whole_windows(ignored: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h2 w2"]:
    """Whether nothing of a window of the SSIM, 11x11 pixels, is ignored: by its middle, from pixel 5 on each way."""
    edge = WINDOW // 2
    return minimum_filter(~ignored, WINDOW)[edge:-edge, edge:-edge]


def check_masks(folder: Path, log: Log) -> None:
    """Looks for masks that are of nothing.

    Raises:
        SwerveError: the folder has no masks, or some of a camera that the log does not have.
    """
    cameras = [camera.name for camera in log.cameras]
    own = [path for path in (folder / safe_name(log.name)).glob("*") if path.is_dir()]
    found = {path: path.stem for path in folder.glob("*.png")} | {path: path.name for path in own}
    if not found:
        raise SwerveError(
            f"{folder}: no mask for log {log.name}. CAMERA.png is one, with CAMERA one of {', '.join(cameras)}"
        )
    for path, name in found.items():
        if name not in cameras:
            raise SwerveError(f"{path}: log {log.name} has no camera {name!r}, but {', '.join(cameras)}")


def digest_of(folder: Path) -> str:
    """Of all masks of a folder, wherever that lies."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.png")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _read(file: Path, camera: Camera) -> Bool[np.ndarray, "h w"]:
    try:
        with Image.open(file) as image:
            white = np.array(image.convert("L")) >= _WHITE
    except OSError as error:
        raise LogError(file, "mask", f"cannot be read: {error}") from error
    height, width = white.shape
    if abs(height * camera.width - width * camera.height) > max(width, height):
        raise LogError(
            file, "mask", f"is {width}x{height}, another shape than its photographs, {camera.width}x{camera.height}"
        )
    size = (camera.width, camera.height)
    return np.array(Image.fromarray(white.astype(np.float32)).resize(size, Image.Resampling.BOX)) > 0
