"""gsplat's unscented transform for lens distortion and rolling shutter: back end "gsplat-ut".

The unscented transform (Wu et al. 2024, 3DGUT, arXiv 2412.12507) determines which tiles a Gaussian may touch, and each
pixel then takes the Gaussian's largest density along its own ray. Differences from "numba" and "gsplat":

- Large Gaussians follow the lens distortion instead of an affine approximation; those small and near the axis look the
  same.
- No blur (`BLUR`) is added: Gaussians thinner than a pixel get fainter instead of wider, and may flicker.
- Gaussians fainter than 1/255 after the blur's loss of opacity, and those none of whose seven sigma points lies in the
  image or within a tenth of its size beside it, are left out.
- There is no gradient by a Gaussian's position in the image; see `render_unscented`.
"""

from typing import Any

import numpy as np
import scipy
import torch
from jaxtyping import Float, Float32, Int64

from swerve.rasterizer.optics import NEAR, lens_table
from swerve.rasterizer.splats.gsplat.gsplat_library import GsplatLibrary
from swerve.rasterizer.splats.gsplat.gsplat_renderer import (
    TILE,
    Images,
    dominant_gaussians_by,
    empty_images,
    evaluate_sh,
    isect_tiles,
)
from swerve.rasterizer.splats.gsplat.lenses import slope_at
from swerve.rasterizer.splats.gsplat.projection import GsplatScene, ProjectedGaussians, visible_gaussians
from swerve.rasterizer.splats.pipeline import BLUR
from swerve.scenes import Camera, Lens, LensModel, SwerveError

# gsplat 1.5.3 treats a point as invisible where the radial distortion factor is below this.
_STRONGEST = 0.8


def render_unscented(
    scene: GsplatScene,
    camera: Camera,
    camera_from_local: Float[torch.Tensor, "4 4"],
    using: GsplatLibrary,
    shifts: Float32[torch.Tensor, "n 2"] | None = None,
    last_from_first: Float[torch.Tensor, "4 4"] | None = None,
) -> Images:
    """Render one image (see `draw`) with the unscented transform.

    The gradient by the pose is that along rigid motions: its product with any small motion is exact, single entries
    differ from those of "numba". That of `shifts` is by moving the Gaussian in the scene, at its depth, so that its
    centre moves by so many pixels; its colour is constant.

    Args:
        scene: as for `draw`, like the next four.
        camera: as for `draw`.
        camera_from_local: as for `draw`; of the first row with a rolling shutter.
        using: as for `draw`.
        shifts: as for `draw`.
        last_from_first: for a rolling shutter from the top row down: the camera frame at the last row from that at the
            first. Colours are those seen from the first; it gets no gradient.

    Raises:
        SwerveError: gsplat does not support the lens over the whole image.
    """
    check_lens(camera)
    rows = visible_gaussians(scene, camera, camera_from_local)
    if not len(rows):
        return empty_images(scene, camera, shifts)
    seen = scene.of(rows)
    placed = _in_camera_frame(seen, camera, camera_from_local, None if shifts is None else shifts.index_select(0, rows))
    ellipses = _project(placed, camera, using, last_from_first)
    eye = -camera_from_local[:3, :3].T @ camera_from_local[:3, 3]
    colors = evaluate_sh(seen.means - eye.to(seen.means), seen.sh_coefficients, (ellipses.radii > 0).all(-1)[0], using)
    offsets, members = isect_tiles(ellipses, camera.width, camera.height, using)
    sums, alpha = using.api.rasterize_to_pixels_eval3d(
        placed.means,
        placed.quaternions,
        placed.log_scales.exp(),
        torch.cat([colors, placed.means[:, 2:]], 1)[None],
        torch.sigmoid(placed.opacity_logits)[None],
        _here(placed.means),
        using.intrinsics(camera),
        camera.width,
        camera.height,
        TILE,
        offsets,
        members,
        **_optics(camera, using, last_from_first),
    )
    return sums[0, ..., :3], sums[0, ..., 3], alpha[0, ..., 0]


@torch.no_grad()
def dominant_gaussians_unscented(
    scene: GsplatScene, camera: Camera, camera_from_local: Float[torch.Tensor, "4 4"], using: GsplatLibrary
) -> Int64[torch.Tensor, "h w"]:
    """Compute `owners` by the unscented transform's blurred ellipses: gsplat lists no Gaussians along rays."""

    def projected(seen: GsplatScene) -> ProjectedGaussians:
        return _project(_in_camera_frame(seen, camera, camera_from_local, None), camera, using, None)

    return dominant_gaussians_by(projected, scene, camera, camera_from_local, using)


def check_lens(camera: Camera) -> None:
    """Check for lenses that gsplat 1.5.3 does not support over the whole image: Gaussians would silently be missing.

    Raises:
        SwerveError: radial distortion below `_STRONGEST` of the radius, or a fisheye that sees farther off its axis
            than its largest image radius over its focal length.
    """
    if camera.lens.model == LensModel.PINHOLE:
        return
    farthest = _farthest(camera)
    if camera.lens.model == LensModel.BROWN:
        weakest = float(_radial_part(camera.lens, np.linspace(0, farthest, 500) ** 2).min())
        if weakest > _STRONGEST:
            return
        problem = f"shrinks radii to {weakest:.2f} within the image, gsplat supports no lens below {_STRONGEST}"
    else:
        widest, followed = np.rad2deg(np.arctan(farthest)), np.rad2deg(_followed(camera))
        if widest <= followed:
            return
        problem = f"sees {widest:.1f} degrees off its axis, gsplat supports up to {followed:.1f}"
    raise SwerveError(f'camera {camera.name!r}: its lens {problem}. Use backend "gsplat" or "numba"')


def _farthest(camera: Camera) -> float:
    """Return the largest ideal radius in the image: on its border, or the lens's limit."""
    _, x, y, _ = lens_table(camera)
    border = np.concatenate([np.hypot(x[k], y[k]) for k in (0, -1)] + [np.hypot(x[:, k], y[:, k]) for k in (0, -1)])
    return camera.lens.limit if np.isnan(border).any() else float(border.max())


def _radial_part(lens: Lens, r2: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    k1, k2, _, _, k3, k4, k5, k6 = lens.padded
    ratio: Float[np.ndarray, "n"] = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return ratio


def _followed(camera: Camera) -> float:
    """Return the angle off the axis up to which gsplat supports a fisheye."""
    farthest = np.hypot(max(camera.cx, camera.width - camera.cx), max(camera.cy, camera.height - camera.cy))
    return float(max(farthest / camera.fx, farthest / camera.fy))


def _in_camera_frame(
    seen: GsplatScene,
    camera: Camera,
    camera_from_local: Float[torch.Tensor, "4 4"],
    shifts: Float32[torch.Tensor, "m 2"] | None,
) -> GsplatScene:
    """Transform the Gaussians to the camera's frame, so that the pose gets a gradient, which gsplat lacks."""
    pose = camera_from_local.to(seen.means)
    means = seen.means @ pose[:3, :3].T + pose[:3, 3]
    if shifts is not None:
        means = means + _sideways(means.detach(), camera, shifts)
    return seen._replace(means=means, quaternions=_turned(seen.quaternions, pose[:3, :3]))


def _turned(
    quaternions: Float32[torch.Tensor, "m 4"], rotation: Float32[torch.Tensor, "3 3"]
) -> Float32[torch.Tensor, "m 4"]:
    """Rotate quaternions; the gradient is that of a small rotation composed with the given one."""
    still = rotation.detach()
    turn = rotation @ still.T
    small = torch.stack([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 4
    half = torch.cat([torch.ones_like(small[:1]), small - small.detach()])
    whole = scipy.spatial.transform.Rotation.from_matrix(still.double().cpu().numpy()).as_quat(scalar_first=True)
    placed = _product(torch.from_numpy(whole).to(rotation), quaternions)
    return _product(half, placed)


def _product(left: Float32[torch.Tensor, "4"], right: Float32[torch.Tensor, "m 4"]) -> Float32[torch.Tensor, "m 4"]:
    """Multiply quaternions."""
    w, x, y, z = left.unbind()
    rows = [torch.stack(row) for row in ([w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w])]
    return right @ torch.stack(rows).T


def _sideways(
    points: Float32[torch.Tensor, "m 3"], camera: Camera, shifts: Float32[torch.Tensor, "m 2"]
) -> Float32[torch.Tensor, "m 3"]:
    """Compute how far points move at their depth when their pixels move by `shifts`: the inverse lens derivative."""
    x, y, z = points.double().unbind(1)
    by = slope_at(camera.lens, x / z, y / z)
    u, v = shifts[:, 0] / camera.fx, shifts[:, 1] / camera.fy
    over = z / (by.xx * by.yy - by.xy * by.xy)
    moved = torch.stack([(by.yy * u - by.xy * v) * over, (by.xx * v - by.xy * u) * over, torch.zeros_like(z)], 1)
    return moved.to(points)


def _project(
    placed: GsplatScene, camera: Camera, using: GsplatLibrary, last_from_first: Float[torch.Tensor, "4 4"] | None
) -> ProjectedGaussians:
    """Project to ellipses, without gradients."""
    with torch.no_grad():
        radii, centers, depths, conics, _ = using.api.fully_fused_projection_with_ut(
            placed.means,
            placed.quaternions,
            placed.log_scales.exp(),
            torch.sigmoid(placed.opacity_logits),
            _here(placed.means),
            using.intrinsics(camera),
            camera.width,
            camera.height,
            eps2d=BLUR,
            near_plane=NEAR,
            **_optics(camera, using, last_from_first),
        )
    return ProjectedGaussians(radii, centers, depths, conics)


def _here(like: torch.Tensor) -> Float32[torch.Tensor, "1 4 4"]:
    """Return the identity pose."""
    return torch.eye(4, dtype=like.dtype, device=like.device)[None]


def _optics(camera: Camera, using: GsplatLibrary, last_from_first: Float[torch.Tensor, "4 4"] | None) -> dict[str, Any]:
    """Return lens and shutter as keyword arguments of gsplat."""
    words: dict[str, Any] = {}
    c = torch.tensor(camera.lens.padded, dtype=torch.float32, device=using.device)[None]
    if camera.lens.model == LensModel.FISHEYE:
        words |= {"camera_model": "fisheye", "radial_coeffs": c[:, :4]}
    if camera.lens.model == LensModel.BROWN:
        words |= {"radial_coeffs": c[:, [0, 1, 4, 5, 6, 7]], "tangential_coeffs": c[:, 2:4]}
    if last_from_first is not None:
        words["rolling_shutter"] = using.api.RollingShutterType.ROLLING_TOP_TO_BOTTOM
        words["viewmats_rs"] = last_from_first.detach().to(using.device, torch.float32)[None]
    return words
