"""Batched differentiable projection and unprojection in torch, with per-sample lens models.

The same formulas as `swerve.scenes.Camera` (sources in lens_kernels), for samples whose rigs differ. In double
precision both agree to 1e-5 pixels; in single precision they differ by 1e-3 at 2,000 pixels of width.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from swerve.data.stream import CameraArrays
from swerve.scenes import LensModel

_NEAREST = 1e-6
_BISECTIONS = 16
_NEWTON_STEPS = 6
_DIFFERENCE = 1e-6
_MISSED = 1e-9
# Plain numbers: torch.compile takes a tensor to differ from any enumeration member.
_BROWN, _FISHEYE = int(LensModel.BROWN), int(LensModel.FISHEYE)


@dataclass(frozen=True)
class CameraRig:
    """Calibrated cameras of a batch, one rig per sample.

    Attributes:
        model: `LensModel` of each camera.
        intrinsics: fx, fy, cx, cy in pixels; pixel centres lie at +0.5.
        coefficients: lens coefficients, see `Lens.padded`.
        limit: undistorted radius up to which the lens is one-to-one, see `Lens.limit`.
        camera_from_ego: transform from the ego frame of now to the camera frame at capture time.
        size: width and height of the images, pixels.
        rays: viewing rays of the patches' centres, see `with_rays`; None before it.
        known: mask of rays within the lens model.
    """

    model: Int[Tensor, "b c"]
    intrinsics: Float[Tensor, "b c 4"]
    coefficients: Float[Tensor, "b c 8"]
    limit: Float[Tensor, "b c"]
    camera_from_ego: Float[Tensor, "b c 4 4"]
    size: tuple[int, int]
    rays: Float[Tensor, "b c n 3"] | None = field(default=None, init=False)
    known: Bool[Tensor, "b c n"] | None = field(default=None, init=False)

    @classmethod
    def of(cls, arrays: CameraArrays) -> "CameraRig":
        """Build from the cameras of a stream's batch, or of `swerve.data.stream.camera_arrays`."""
        return cls(
            torch.as_tensor(arrays.lens),
            torch.as_tensor(arrays.intrinsics),
            torch.as_tensor(arrays.coefficients),
            torch.as_tensor(arrays.limit),
            inverse(torch.as_tensor(arrays.ego_from_camera)),
            arrays.size,
        )

    @classmethod
    def without_cameras(cls, count: int, size: tuple[int, int]) -> "CameraRig":
        """Return rigs of planners that have no images."""
        fours, eights, none, matrices = (torch.zeros(count, 0, *shape) for shape in ((4,), (8,), (), (4, 4)))
        return cls(none.long(), fours, eights, none, matrices, size)

    def with_rays(self, patch: int) -> "CameraRig":
        """Add the viewing rays of the centres of square patches; with no patch size, none are added.

        Rays in the camera frame are computed once per lens; a batch costs their rotation alone.
        """
        if not patch:
            return self
        rays, known = unproject(self, patch_centres(self.size[1] // patch, self.size[0] // patch, patch))
        return self._with(rays=rays, known=known)

    def to(self, target: torch.device | torch.dtype) -> "CameraRig":
        """Convert to another device or precision."""
        if isinstance(target, torch.dtype):
            return self.converted(lambda one: one.to(target) if one.is_floating_point() else one)
        return self.converted(lambda one: one.to(target, non_blocking=True))

    def rows(self, chosen: Int[Tensor, "n"] | Bool[Tensor, "b"]) -> "CameraRig":
        """Select samples' rigs."""
        return self.converted(lambda one: one[chosen])

    def converted(self, convert: Callable[[Tensor], Tensor]) -> "CameraRig":
        """Apply a function to every tensor."""
        return self._with(**{name: convert(one) for name, one in vars(self).items() if isinstance(one, Tensor)})

    def _with(self, **values: Tensor) -> "CameraRig":
        """Return a copy with other values; `dataclasses.replace` drops the rays, which depend on the rest."""
        changed = copy.copy(self)
        for name, value in values.items():
            object.__setattr__(changed, name, value)
        return changed


def patch_centres(rows: int, columns: int, patch: int) -> Float[Tensor, "n 2"]:
    """Return pixels (u, v) of the centre of each patch, row by row."""
    v, u = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return (torch.stack([u, v], dim=-1).reshape(-1, 2) + 0.5) * patch


def sample(
    maps: Float[Tensor, "b c e p q"], pixels: Float[Tensor, "b c n 2"], size: tuple[int, int]
) -> Float[Tensor, "b c e n"]:
    """Sample features at image pixels, bilinearly between patch centres.

    Between the image border and the outer patches' centres the outer patches' features are used. Maps in half
    precision, as in mixed training, are sampled in it: positions are then rounded by up to a thousandth of the image's
    width and height (bfloat16; 0.8 pixels of 768), for half the memory.
    """
    grid = 2 * pixels / pixels.new_tensor(size) - 1
    flat = functional.grid_sample(
        maps.flatten(0, 1), grid.flatten(0, 1)[:, None].to(maps.dtype), padding_mode="border", align_corners=False
    )
    samples: Float[Tensor, "b c e n"] = flat[:, :, 0].unflatten(0, maps.shape[:2])
    return samples


def project(
    rig: CameraRig, points: Float[Tensor, "b n 3"]
) -> tuple[Float[Tensor, "b c n 2"], Float[Tensor, "b c n"], Bool[Tensor, "b c n"]]:
    """Project points of the ego frame into every camera of their own sample.

    Returns:
        pixels (finite everywhere, zero for points behind a camera, so that no gradient is ever NaN); depths along the
        optical axis, metres; whether the point is in the image (occlusion is not tested).
    """
    rotation, translation = rig.camera_from_ego[..., :3, :3], rig.camera_from_ego[..., :3, 3]
    # Not in the half precision of mixed training, which would move points by pixels.
    with torch.autocast(points.device.type, enabled=False):
        seen = torch.einsum("bcij,bnj->bcni", rotation, points) + translation[:, :, None]
    depth = seen[..., 2]
    ahead = depth > _NEAREST
    normal = seen[..., :2] / torch.where(ahead, depth, 1.0)[..., None]
    normal = torch.where(ahead[..., None], normal, 0.0)
    pixels = distort(rig, normal) * rig.intrinsics[:, :, None, :2] + rig.intrinsics[:, :, None, 2:]
    inside = ((pixels >= 0) & (pixels < pixels.new_tensor(rig.size))).all(dim=-1)
    within = normal.norm(dim=-1) <= rig.limit[..., None]
    return torch.where(ahead[..., None], pixels, 0.0), depth, ahead & inside & within


def inverse(target_from_source: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 4 4"]:
    """Invert a rigid transform (`source_from_target`) by the transpose of its rotation."""
    rotation = target_from_source[..., :3, :3].mT
    upper = torch.cat([rotation, -rotation @ target_from_source[..., :3, 3:]], dim=-1)
    return torch.cat([upper, target_from_source[..., 3:, :]], dim=-2)


@torch.no_grad()
def unproject(rig: CameraRig, pixels: Float[Tensor, "n 2"]) -> tuple[Float[Tensor, "b c n 3"], Bool[Tensor, "b c n"]]:
    """Unproject pixels in every camera: unit vectors in the ego frame, without gradients.

    Computed in double precision, since Newton's method uses differences; each distinct lens once, and kept.

    Returns:
        directions, zero outside the lens model; mask of valid pixels.
    """
    kind, device = rig.intrinsics.dtype, rig.intrinsics.device
    centres = pixels.detach().double().cpu().contiguous().numpy().tobytes()
    lenses = torch.cat(
        [rig.model[..., None].double(), rig.intrinsics.double(), rig.coefficients.double(), rig.limit[..., None]],
        dim=-1,
    )
    found = [_camera_rays(tuple(one), centres) for one in lenses.flatten(0, 1).tolist()]
    shape = (*rig.model.shape, len(pixels))
    rays = torch.stack([one for one, _ in found]).reshape(*shape, 3).to(device)
    known = torch.stack([one for _, one in found]).reshape(shape).to(device)
    return (rays @ rig.camera_from_ego[..., :3, :3].double()).to(kind), known


@lru_cache(maxsize=256)
def _camera_rays(lens: tuple[float, ...], pixels: bytes) -> tuple[Float[Tensor, "n 3"], Bool[Tensor, "n"]]:
    """Unproject pixels of one lens: unit vectors in the camera frame in double precision, and the mask of valid ones.

    Args:
        lens: model, four intrinsics, eight coefficients, limit.
        pixels: pixels (u, v) in double precision.
    """
    own = torch.tensor(lens, dtype=torch.float64)[None, None]
    exact = CameraRig(own[..., 0].long(), own[..., 1:5], own[..., 5:13], own[..., 13], torch.eye(4)[None, None], (1, 1))
    points = torch.frombuffer(bytearray(pixels), dtype=torch.float64).reshape(-1, 2)
    bent = (points - exact.intrinsics[:, :, None, 2:]) / (exact.intrinsics[:, :, None, :2])
    normal = _undistort(exact, bent)
    missed = ((distort(exact, normal) - bent) ** 2).sum(dim=-1) > _MISSED**2
    known = ~missed & (normal.norm(dim=-1) <= exact.limit[..., None] * (1 + 1e-9))
    rays = torch.cat([normal, torch.ones_like(normal[..., :1])], dim=-1)
    rays = torch.where(known[..., None], torch.nn.functional.normalize(rays, dim=-1), 0.0)
    return rays[0, 0], known[0, 0]


def distort(rig: CameraRig, normal: Float[Tensor, "b c n 2"]) -> Float[Tensor, "b c n 2"]:
    """Distort normalised image coordinates (x/z, y/z) by each camera's lens.

    Beyond the lens' limit the image radius is extended with slope one, as in lens_kernels.distort.
    """
    radius = (normal**2).sum(dim=-1).clamp(min=1e-24).sqrt()
    shrink = (rig.limit[..., None] / radius).clamp(max=1.0)[..., None]
    inner = normal * shrink
    return _distort_within(rig, inner) + (normal - inner)


def _distort_within(rig: CameraRig, normal: Float[Tensor, "b c n 2"]) -> Float[Tensor, "b c n 2"]:
    """Evaluate the lens models; coefficients of other models are zero, so that no formula is infinite."""
    brown = (rig.model == _BROWN)[..., None]
    coefficients = torch.where(brown, rig.coefficients, 0.0)
    x, y = normal[..., 0], normal[..., 1]
    r2 = x * x + y * y
    _, _, p1, p2, *_ = (one[..., None] for one in coefficients.unbind(dim=-1))
    tangential = torch.stack([2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], dim=-1)
    return normal * _radial_scale(rig, r2)[..., None] + tangential


def _radial_scale(rig: CameraRig, r2: Float[Tensor, "b c n"]) -> Float[Tensor, "b c n"]:
    """Compute the ratio of distorted to undistorted radius."""
    brown, fisheye = (rig.model == kind for kind in (_BROWN, _FISHEYE))
    k1, k2, _, _, k3, k4, k5, k6 = _split(torch.where(brown[..., None], rig.coefficients, 0.0))
    rational = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    k1, k2, k3, k4, *_ = _split(torch.where(fisheye[..., None], rig.coefficients, 0.0))
    radius = r2.clamp(min=1e-18).sqrt()
    angle = radius.atan()
    a2 = angle * angle
    bent = angle / radius * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    return torch.where(fisheye[..., None], bent, rational)


def _split(coefficients: Float[Tensor, "b c 8"]) -> list[Float[Tensor, "b c 1"]]:
    return [one[..., None] for one in coefficients.unbind(dim=-1)]


def _undistort(rig: CameraRig, bent: Float[Tensor, "b c n 2"]) -> Float[Tensor, "b c n 2"]:
    """Invert `distort`: the radial part by bisection, then Newton's method."""
    radius = bent.norm(dim=-1)
    low, high = torch.zeros_like(radius), rig.limit[..., None].expand_as(radius).clone()
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        short = middle * _radial_scale(rig, middle**2) < radius
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    normal: Float[Tensor, "b c n 2"] = bent * (low / radius.clamp(min=1e-12))[..., None]
    for _ in range(_NEWTON_STEPS):
        normal = normal - _newton_step(rig, normal, bent)
    return normal


def _newton_step(
    rig: CameraRig, normal: Float[Tensor, "b c n 2"], bent: Float[Tensor, "b c n 2"]
) -> Float[Tensor, "b c n 2"]:
    """Compute a Newton step with finite differences; zero where the Jacobian is singular."""
    here = distort(rig, normal)
    along_x, along_y = (
        (distort(rig, normal + normal.new_tensor(step)) - here) / _DIFFERENCE
        for step in ((_DIFFERENCE, 0.0), (0.0, _DIFFERENCE))
    )
    error = here - bent
    determinant = along_x[..., 0] * along_y[..., 1] - along_y[..., 0] * along_x[..., 1]
    singular = determinant.abs() < 1e-12
    safe = torch.where(singular, 1.0, determinant)
    step = torch.stack(
        [
            (along_y[..., 1] * error[..., 0] - along_y[..., 0] * error[..., 1]) / safe,
            (along_x[..., 0] * error[..., 1] - along_x[..., 1] * error[..., 0]) / safe,
        ],
        dim=-1,
    )
    return torch.where(singular[..., None], 0.0, step)
