"""User masks of ignored pixels.

A folder of masks holds PNG files in which ignored pixels are white. `CAMERA.png` applies to all photos of a camera (the
ego's bonnet). `LOG/CAMERA/NAME.png` applies to the photo whose file is called NAME (a person without a track). Each has
the aspect ratio of its photos, in any resolution.
"""

import hashlib
from pathlib import Path

import numpy as np
import scipy
from jaxtyping import Bool
from PIL import Image

from swerve.data.splats.optimization.training_images import WINDOW
from swerve.data.storage.checked_image import decode_pixels
from swerve.data.storage.files import safe_name
from swerve.scenes import Camera, Log, LogError, Photo, SwerveError

# Threshold of white pixels in a mask.
_WHITE = 128


def load_mask(folder: Path, log: Log, camera: Camera, photo: Photo | None) -> Bool[np.ndarray, "h w"] | None:
    """Return the mask of ignored pixels of an image, in the camera's size; None if there is none.

    Args:
        folder: folder of masks.
        log: log of the image.
        camera: camera with the size of the image. A pixel is ignored if the mask overlaps it.
        photo: photo of the image; None for synthetic photos.

    Raises:
        LogError: a mask cannot be read or has another aspect ratio, or no SSIM window remains.
    """
    files = [folder / f"{camera.name}.png"]
    if photo is not None:
        files.append(folder / safe_name(log.name) / camera.name / f"{photo.file.stem}.png")
    masks = [_read(file, camera) for file in files if file.is_file()]
    if not masks:
        return None
    ignored: Bool[np.ndarray, "h w"] = np.logical_or.reduce(masks)
    if not valid_windows(ignored).any():
        raise LogError(files[-1], "mask", "covers its whole photo", "Leave the camera out, with --cameras")
    return ignored


def valid_windows(ignored: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h2 w2"]:
    """Test which SSIM windows (11x11 pixels) contain no ignored pixel, by their centres from pixel 5 on."""
    edge = WINDOW // 2
    whole: Bool[np.ndarray, "h2 w2"] = scipy.ndimage.minimum_filter(~ignored, WINDOW)[edge:-edge, edge:-edge]
    return whole


def check_masks(folder: Path, log: Log) -> None:
    """Check for masks that match no photo.

    Raises:
        SwerveError: the folder has no masks, or masks of an unknown camera.
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
    """Return a digest of all masks of a folder, independent of its location."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.png")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _read(file: Path, camera: Camera) -> Bool[np.ndarray, "h w"]:
    try:
        white = decode_pixels(file.read_bytes(), "L") >= _WHITE
    except (OSError, ValueError) as error:
        raise LogError(file, "mask", f"cannot be read: {error}") from error
    height, width = white.shape
    if abs(height * camera.width - width * camera.height) > max(width, height):
        raise LogError(
            file, "mask", f"is {width}x{height}, another aspect ratio than its photos, {camera.width}x{camera.height}"
        )
    size = (camera.width, camera.height)
    return np.array(Image.fromarray(white.astype(np.float32)).resize(size, Image.Resampling.BOX)) > 0
