"""Films of 3D views as MP4 files, by PyAV (extra `video`): cameras, the scene from above, and scores under them."""

import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
from jaxtyping import UInt8

from swerve.scenes import SwerveError
from swerve.viz.picture_parts import camera_strip, curve_strip, heading
from swerve.viz.scene_picture import Eye, draw_scene
from swerve.viz.scene_view import CameraView3D, SceneView3D

_ABOVE: Final = Eye((-6.0, 0.0, 62.0), (12.0, 0.0, 0.0))
# Cameras shown, the most forward-looking ones, and the quality of the encoder: 0 is lossless, 51 the worst.
_CAMERAS, _QUALITY = 4, "21"
# Width of what is shown in the place of an image that there is not.
_EMPTY: Final = 480
_GROUND: Final = (12, 14, 18)


def import_av() -> ModuleType:
    """Import PyAV.

    Raises:
        SwerveError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise SwerveError("films need PyAV: pip install 'PATH[video]', where PATH is Swerve's folder") from error
    module: ModuleType = av
    return module


def write_film(path: Path, frames: Iterable[UInt8[np.ndarray, "_ _ 3"]], rate: float) -> int:
    """Write frames of one size as an MP4 file (H.264) that browsers play; return their number.

    Args:
        path: of the file.
        frames: one or more; an odd row or column at the end is left out.
        rate: frames per second.
    """
    av, count = import_av(), 0
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        stream.pix_fmt, stream.options = "yuv420p", {"crf": _QUALITY, "preset": "medium"}
        for frame in frames:
            height, width = (side // 2 * 2 for side in frame.shape[:2])
            if not count:
                stream.height, stream.width = height, width
            image = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            container.mux(stream.encode(image))
            count += 1
        container.mux(stream.encode(None))
    return count


def film_of(view: SceneView3D, width: int = 1280) -> bytes:
    """Return the bytes of an MP4 file of a view at its own speed.

    Args:
        view: the view.
        width: of the frames, pixels.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        write_film(path, film_frames(view, width), frame_rate(view))
        return path.read_bytes()


def film_frames(view: SceneView3D, width: int = 1280) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yield a frame for each step of a view.

    Args:
        view: the view.
        width: of the frames, pixels.
    """
    cameras = forward_cameras(view)
    side = width * 9 // 20 if cameras else width
    for step in range(len(view)):
        moment = view.moment(step)
        above = draw_scene(view, step, (side, side), _ABOVE)
        images = camera_strip([(one.camera.name, _image(one, step)) for one in cameras], width - side)
        middle = np.concatenate([_fitted(images, width - side, side), above], axis=1) if cameras else above
        yield np.concatenate([heading(view.title, moment, width), middle, *curve_strip(
            view.times, view.curves, step, width, 110
        )])  # fmt: skip


def _image(one: CameraView3D, step: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """Return the image at a step, an empty one where there is none, so that the others keep their places."""
    image = one.image(step)
    if image is None:
        return np.full((max(round(_EMPTY * one.camera.height / one.camera.width), 1), _EMPTY, 3), _GROUND, np.uint8)
    return image


def forward_cameras(view: SceneView3D) -> list[CameraView3D]:
    """Return the most forward-looking cameras, from left to right."""
    ahead = sorted(view.cameras, key=lambda one: -one.camera.ego_from_camera[0, 2])[:_CAMERAS]
    angles = {id(one): -np.arctan2(*one.camera.ego_from_camera[[1, 0], 2]) for one in ahead}
    return sorted(ahead, key=lambda one: float(angles[id(one)]))


def _fitted(strips: list[UInt8[np.ndarray, "_ _ 3"]], width: int, height: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """Return strips one under the other in a rectangle, cut off or filled up under them."""
    whole = np.full((height, width, 3), _GROUND, np.uint8)
    if strips:
        drawn = np.concatenate(strips)[:height]
        whole[: len(drawn)] = drawn
    return whole


def frame_rate(view: SceneView3D) -> float:
    """Return the frames per second with which a view plays at its own speed, 1 to 30."""
    if len(view) < 2:
        return 1.0
    return float(np.clip(1.0 / max(float(np.median(np.diff(view.times))), 1e-3), 1.0, 30.0))
