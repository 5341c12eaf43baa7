"""Fake of gsplat 1.5.3 on the CPU with its functions and conventions, for tests without a GPU.

Arguments, shapes, order of results and cuts are those of gsplat's documentation and kernels: ellipses widened by eps2d,
alpha at most 0.999 and at least 1/255, pixels that end before the light falls to 1e-4, tiles by the rectangle of the
radii, members sorted by the bits of their depths, pixel centres at +0.5, and for the unscented transform alpha 0.1,
beta 2, kappa 0, a margin of a tenth and the limits of its lenses. What gsplat leaves uninitialised is NaN here. Sums
are made in float64 and rounded to float32; gradients are autograd's.
"""

import enum
import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from scipy.spatial.transform import Rotation, Slerp

from swerve.scenes import LensModel
from tests.support.splat_reference import _bend, _rotations, harmonics_at

FAINTEST, DENSEST, FINISHED = 1 / 255, 0.999, 1e-4


class RollingShutterType(enum.Enum):
    """Used members of gsplat's enum."""

    ROLLING_TOP_TO_BOTTOM = 0
    GLOBAL = 4


def fully_fused_projection(
    means,
    covars,
    quats,
    scales,
    viewmats,
    Ks,
    width,
    height,
    eps2d=0.3,
    near_plane=0.01,
    far_plane=1e10,
    opacities=None,
):
    """Return radii, means2d, depths, conics and no compensations."""
    assert covars is None
    count = _check(means, quats, scales, opacities, viewmats, Ks)
    view, k = viewmats[0].double(), Ks[0].double()
    points = means.double() @ view[:3, :3].T + view[:3, 3]
    ahead = (points[:, 2] >= near_plane) & (points[:, 2] <= far_plane)
    points = torch.where(ahead[:, None], points, points.new_tensor([0.0, 0.0, 1.0]))
    (fx, cx), (fy, cy) = (k[0, 0], k[0, 2]), (k[1, 1], k[1, 2])
    x, y, z = points.unbind(1)
    wide, high = 0.15 * width / fx, 0.15 * height / fy
    tx = (x / z).clamp(-cx / fx - wide, (width - cx) / fx + wide)
    ty = (y / z).clamp(-cy / fy - high, (height - cy) / fy + high)
    none = torch.zeros_like(z)
    jacobians = torch.stack([fx / z, none, -fx * tx / z, none, fy / z, -fy * ty / z], 1).reshape(count, 2, 3)
    carried = jacobians @ view[:3, :3] @ (_rotations(quats.double()) * scales.double()[:, None])
    centers = torch.stack([fx * x / z + cx, fy * y / z + cy], 1)
    spread = carried @ carried.mT + eps2d * torch.eye(2, dtype=torch.float64)
    return *_results(centers, spread, z, ahead, opacities.double(), width, height), None


def fully_fused_projection_with_ut(
    means, quats, scales, opacities, viewmats, Ks, width, height, eps2d=0.3, near_plane=0.01, **optics
):
    """Project by seven sigma points of each Gaussian, without gradients."""
    _check(means, quats, scales, opacities, viewmats, Ks)
    with torch.no_grad():
        camera = _Camera(Ks, width, height, viewmats, **optics)
        middle = camera.poses(np.array([0.5]))[0]
        depths = (means.double() @ middle[:3, :3].T + middle[:3, 3])[:, 2]
        arms = _rotations(quats.double()) * (scales.double() * math.sqrt(3) * 0.1)[:, None]
        arms = torch.cat([torch.zeros(len(means), 1, 3, dtype=torch.float64), arms.mT, -arms.mT], 1)
        pixels, valid = camera.project((means.double()[:, None] + arms).reshape(-1, 3))
        pixels, valid = pixels.reshape(-1, 7, 2), valid.reshape(-1, 7).any(1)
        lam = 3 * (0.1**2 - 1)
        by_mean = torch.tensor([lam / (3 + lam), *[0.5 / (3 + lam)] * 6], dtype=torch.float64)
        by_spread = by_mean.clone()
        by_spread[0] += 1 - 0.1**2 + 2
        centers = (by_mean[:, None] * pixels).sum(1)
        off = pixels - centers[:, None]
        narrow = torch.einsum("s,nsi,nsj->nij", by_spread, off, off)
        spread = narrow + eps2d * torch.eye(2, dtype=torch.float64)
        kept = (torch.linalg.det(narrow) / torch.linalg.det(spread)).clamp_min(0).sqrt()
        results = _results(
            centers, spread, depths, (depths >= near_plane) & valid, opacities.double() * kept, width, height
        )
    return *results, None


def spherical_harmonics(degrees_to_use, dirs, coeffs, masks=None):
    """Evaluate harmonics without the constant 0.5; NaN where masked."""
    assert dirs.shape == (*coeffs.shape[:1], 3)
    unit = dirs.double() / dirs.double().norm(dim=1, keepdim=True)
    shown = (harmonics_at(unit, (degrees_to_use + 1) ** 2)[:, :, None] * coeffs.double()).sum(1)
    return torch.where(masks[:, None], shown, torch.nan).float()


@torch.no_grad()
def isect_tiles(means2d, radii, depths, tile_size, tile_width, tile_height):
    """Return (None, keys of tile and depth, Gaussians), sorted by the keys."""
    assert means2d.shape[0] == radii.shape[0] == depths.shape[0] == 1
    seen = torch.nonzero((radii[0] > 0).all(1))[:, 0]
    size = torch.tensor([tile_width, tile_height])
    low = ((means2d[0, seen] - radii[0, seen]) / tile_size).floor().long().clamp_min(0).minimum(size)
    high = ((means2d[0, seen] + radii[0, seen]) / tile_size).ceil().long().clamp_min(0).minimum(size)
    bits = depths[0].detach().contiguous().view(torch.int32).long()
    keys, members = [], []
    for n, (left, top), (right, bottom) in zip(seen.tolist(), low.tolist(), high.tolist(), strict=True):
        for tile in (row * tile_width + column for row in range(top, bottom) for column in range(left, right)):
            keys.append(tile << 32 | int(bits[n]))
            members.append(n)
    order = np.argsort(np.array(keys, np.int64), kind="stable")
    return None, torch.tensor(keys, dtype=torch.int64)[order], torch.tensor(members, dtype=torch.int32)[order]


@torch.no_grad()
def isect_offset_encode(isect_ids, n_images, tile_width, tile_height):
    """Return the first member of each tile."""
    assert n_images == 1
    starts = torch.searchsorted(isect_ids >> 32, torch.arange(tile_width * tile_height))
    return starts.to(torch.int32).reshape(1, tile_height, tile_width)


def rasterize_to_pixels(
    means2d, conics, colors, opacities, image_width, image_height, tile_size, isect_offsets, flatten_ids
):
    """Return sums of weight x colour, and of weight."""
    _check_blend(means2d.shape[1], colors, opacities, isect_offsets)

    def covers(members, pixels):
        off = means2d[0, members].double()[:, None] - pixels
        xx, xy, yy = conics[0, members].double()[:, None].unbind(2)
        fall = 0.5 * (xx * off[..., 0] ** 2 + yy * off[..., 1] ** 2) + xy * off[..., 0] * off[..., 1]
        return opacities[0, members].double()[:, None] * torch.exp(-fall)

    return _blended(covers, colors, image_width, image_height, tile_size, isect_offsets, flatten_ids)[:2]


def rasterize_to_pixels_eval3d(
    means,
    quats,
    scales,
    colors,
    opacities,
    viewmats,
    Ks,
    image_width,
    image_height,
    tile_size,
    isect_offsets,
    flatten_ids,
    **optics,
):
    """Return sums of weight x colour, and of weight, by the largest density along each pixel's ray."""
    assert not viewmats.requires_grad, "gsplat raises NotImplementedError"
    _check_blend(len(means), colors, opacities, isect_offsets)
    camera = _Camera(Ks, image_width, image_height, viewmats, **optics)
    into = _rotations(quats.double()).mT / scales.double()[:, :, None]

    def covers(members, pixels):
        origins, rays, valid = camera.rays(pixels)
        away = torch.einsum("nij,npj->npi", into[members], origins - means[members].double()[:, None])
        along = torch.nn.functional.normalize(torch.einsum("nij,pj->npi", into[members], rays), dim=2)
        fall = torch.linalg.cross(along, away).square().sum(2) / 2
        return opacities[0, members].double()[:, None] * torch.exp(-fall) * valid

    return _blended(covers, colors, image_width, image_height, tile_size, isect_offsets, flatten_ids)[:2]


@torch.no_grad()
def rasterize_to_indices_in_range(
    range_start,
    range_end,
    transmittances,
    means2d,
    conics,
    opacities,
    image_width,
    image_height,
    tile_size,
    isect_offsets,
    flatten_ids,
):
    """Return Gaussians, pixels and images (all 0): pixel by pixel, nearest first."""
    assert range_start == 0
    assert range_end >= len(flatten_ids) / tile_size**2
    assert (transmittances == 1).all()
    assert transmittances.shape == (1, image_height, image_width)
    pairs = []

    def covers(members, pixels):
        off = means2d[0, members].double()[:, None] - pixels
        conic = conics[0, members].double()[:, None]
        fall = (conic * torch.stack([off[..., 0] ** 2 / 2, off.prod(2), off[..., 1] ** 2 / 2], 2)).sum(2)
        return opacities[0, members].double()[:, None] * torch.exp(-fall)

    colors = torch.zeros((1, means2d.shape[1], 1))
    weights = _blended(covers, colors, image_width, image_height, tile_size, isect_offsets, flatten_ids)[2]
    for members, pixels, weight in weights:
        which, where = torch.nonzero(weight > 0).unbind(1)
        flat = pixels[where, 1].floor().long() * image_width + pixels[where, 0].floor().long()
        pairs.append(torch.stack([members[which], flat, which]))
    gaussians, flat, ranks = torch.cat(pairs, 1) if pairs else torch.zeros((3, 0), dtype=torch.int64)
    order = np.lexsort((ranks.numpy(), flat.numpy()))
    return gaussians[order], flat[order], torch.zeros_like(flat)


def _blended(covers, colors, width, height, tile_size, offsets, flatten_ids):
    """Blend tile by tile; also return (members, pixels, weights) of each tile with members."""
    ends = [*offsets.reshape(-1)[1:].tolist(), len(flatten_ids)]
    image = torch.zeros((height, width, colors.shape[2]), dtype=torch.float64)
    alpha, weights = torch.zeros((height, width, 1), dtype=torch.float64), []
    for tile, (start, end) in enumerate(zip(offsets.reshape(-1).tolist(), ends, strict=True)):
        top, left = (tile_size * number for number in divmod(tile, offsets.shape[2]))
        bottom, right = min(top + tile_size, height), min(left + tile_size, width)
        if start == end:
            continue
        v, u = torch.meshgrid(torch.arange(top, bottom) + 0.5, torch.arange(left, right) + 0.5, indexing="ij")
        pixels, members = torch.stack([u, v], 2).reshape(-1, 2).double(), flatten_ids[start:end].long()
        shown = covers(members, pixels).clamp_max(DENSEST)
        shown = torch.where(shown >= FAINTEST, shown, 0.0)
        after = torch.cumprod(1 - shown, 0)
        shown = torch.where(after > FINISHED, shown, 0.0)
        after = torch.cumprod(1 - shown, 0)
        weight = torch.cat([torch.ones_like(after[:1]), after[:-1]]) * shown
        summed = (weight.T @ colors[0, members].double()).reshape(bottom - top, right - left, -1)
        pad = (0, 0, left, width - right, top, height - bottom)
        image = image + torch.nn.functional.pad(summed, pad)
        alpha = alpha + torch.nn.functional.pad((1 - after[-1]).reshape(bottom - top, right - left, 1), pad)
        weights.append((members, pixels, weight))
    return image.float()[None], alpha.float()[None], weights


def _results(centers, spread, depths, wanted, opacities, width, height):
    """Return the projections' results: NaN outside the image."""
    reach = (2 * torch.log(opacities.detach() * 255).clamp_min(0)).sqrt().clamp_max(3.33)
    radii = torch.ceil(reach[:, None] * torch.stack([spread[:, 0, 0], spread[:, 1, 1]], 1).detach().sqrt())
    size = torch.tensor([width, height])
    seen = wanted & (opacities >= FAINTEST) & ((centers + radii > 0) & (centers - radii < size)).all(1)
    spread = torch.where(seen[:, None, None], spread, torch.eye(2, dtype=torch.float64))
    inverse = torch.linalg.inv(spread)
    conics = torch.stack([inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]], 1)
    blank = [torch.where(seen[:, None], rows, torch.nan).float()[None] for rows in (centers, depths[:, None], conics)]
    return torch.where(seen[:, None], radii, 0.0).int()[None], blank[0], blank[1][..., 0], blank[2]


class _Camera:
    """Camera with lens, shutter and poses."""

    def __init__(
        self,
        Ks,
        width,
        height,
        viewmats,
        camera_model="pinhole",
        radial_coeffs=None,
        tangential_coeffs=None,
        rolling_shutter=RollingShutterType.GLOBAL,
        viewmats_rs=None,
    ):
        self.k, self.size = Ks[0].double(), torch.tensor([width, height])
        rolls = rolling_shutter is RollingShutterType.ROLLING_TOP_TO_BOTTOM
        assert rolls == (viewmats_rs is not None)
        self.ends = np.stack([viewmats[0].double(), (viewmats_rs if rolls else viewmats)[0].double()])
        self.fisheye, self.rolls = camera_model == "fisheye", rolls
        radial = None if radial_coeffs is None else radial_coeffs[0].double().tolist()
        if radial is None:
            self.lens = SimpleNamespace(model=LensModel.PINHOLE)
        elif self.fisheye:
            assert len(radial) == 4
            self.lens = SimpleNamespace(model=LensModel.FISHEYE, coefficients=radial)
        else:
            assert len(radial) == 6
            coefficients = (*radial[:2], *tangential_coeffs[0].double().tolist(), *radial[2:])
            self.lens = SimpleNamespace(model=LensModel.BROWN, coefficients=coefficients)

    def poses(self, times):
        """Return the camera poses at times 0 to 1."""
        turns = Slerp([0, 1], Rotation.from_matrix(self.ends[:, :3, :3]))(times)
        out = np.zeros((len(times), 4, 4))
        out[:, :3, :3] = turns.as_matrix()
        out[:, :3, 3] = self.ends[0, :3, 3] + times[:, None] * (self.ends[1, :3, 3] - self.ends[0, :3, 3])
        return torch.from_numpy(out)

    def project(self, points):
        """Return pixels, and a mask of valid ones."""
        start, valid = self._project_from(points, self.poses(np.zeros(len(points))))
        if not self.rolls:
            return start, valid
        end, end_valid = self._project_from(points, self.poses(np.ones(len(points))))
        pixels = torch.where(valid[:, None], start, end)
        for _ in range(10):
            pixels = self._project_from(points, self.poses(self.times_at(pixels).clip(0, 1)))[0]
        return pixels, valid | end_valid

    def times_at(self, pixels):
        """Return the readout times of the pixels' rows."""
        return (np.floor(pixels[:, 1].numpy()) / (int(self.size[1]) - 1)) if self.rolls else np.zeros(len(pixels))

    def _project_from(self, points, poses):
        seen = torch.einsum("nij,nj->ni", poses[:, :3, :3], points) + poses[:, :3, 3]
        ahead = seen[:, 2] > 0
        x, y = (seen[:, :2] / torch.where(ahead, seen[:, 2], 1.0)[:, None]).unbind(1)
        valid = ahead
        if self.fisheye:
            # Beyond the largest angle, a point is treated as if it lay at it.
            farthest = torch.maximum(self.k[:2, 2], self.size - self.k[:2, 2]).norm()
            widest = math.tan(min(float(farthest / min(self.k[0, 0], self.k[1, 1])), 1.57))
            pulled = (widest / torch.hypot(x, y)).clamp_max(1.0)
            x, y = x * pulled, y * pulled
        bent = torch.stack(_bend(self.lens, x, y), 1)
        if self.lens.model == LensModel.BROWN:
            k1, k2, _, _, k3, k4, k5, k6 = self.lens.coefficients
            r2 = x * x + y * y
            valid = valid & ((1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6))) > 0.8)
        pixels = bent * self.k[[0, 1], [0, 1]] + self.k[:2, 2]
        pixels = torch.where(ahead[:, None], pixels, 0.0)
        margin = 0.1 * self.size
        return pixels, valid & ((pixels >= -margin) & (pixels < self.size + margin)).all(1)

    def rays(self, pixels):
        """Return origins, directions and validity: Newton's method with gsplat's number of iterations."""
        target = (pixels - self.k[:2, 2]) / self.k[[0, 1], [0, 1]]
        ideal, step = target.clone(), torch.full_like(target, torch.inf)
        for _ in range(20 if self.fisheye else 5):
            bent = torch.stack(_bend(self.lens, *ideal.unbind(1)), 1)
            columns = [
                (torch.stack(_bend(self.lens, *(ideal + 1e-6 * axis).unbind(1)), 1) - bent) / 1e-6
                for axis in torch.eye(2, dtype=torch.float64)
            ]
            step = torch.linalg.solve(torch.stack(columns, 2), bent - target)
            ideal = ideal - step
        directions = torch.nn.functional.normalize(torch.cat([ideal, torch.ones_like(ideal[:, :1])], 1), dim=1)
        poses = self.poses(self.times_at(pixels))
        turned = torch.einsum("nji,nj->ni", poses[:, :3, :3], directions)
        return -torch.einsum("nji,nj->ni", poses[:, :3, :3], poses[:, :3, 3]), turned, (step.abs() < 1e-6).all(1)


def _check(means, quats, scales, opacities, viewmats, Ks):
    count = len(means)
    assert count > 0, "gsplat divides by the number of Gaussians"
    assert means.shape == scales.shape == (count, 3)
    assert quats.shape == (count, 4)
    assert opacities.shape == (count,)
    assert viewmats.shape == (1, 4, 4)
    assert Ks.shape == (1, 3, 3)
    for tensor in (means, quats, scales, opacities, viewmats, Ks):
        assert tensor.dtype == torch.float32
    return count


def _check_blend(count, colors, opacities, offsets):
    assert colors.dtype == torch.float32
    assert colors.shape == (1, count, colors.shape[2])
    assert opacities.shape == (1, count)
    assert offsets.shape[0] == 1


@dataclass
class MCMCStrategy:
    """Fake of gsplat's strategy: faded Gaussians are relocated, 5 % are added, noise is added to all."""

    cap_max: int = 1_000_000
    noise_lr: float = 5e5
    refine_start_iter: int = 500
    refine_stop_iter: int = 25_000
    refine_every: int = 100
    min_opacity: float = 0.005

    def initialize_state(self):
        return {"binoms": torch.tensor([[float(math.comb(n, k)) for k in range(51)] for n in range(51)])}

    @torch.no_grad()
    def step_post_backward(self, params, optimizers, state, step, info, lr):
        assert {name for name, tensor in params.items() if tensor.requires_grad} == set(optimizers)
        assert all(len(adam.param_groups) == 1 for adam in optimizers.values())
        if self.refine_start_iter < step < self.refine_stop_iter and step % self.refine_every == 0:
            count = len(params["means"])
            dead = torch.sigmoid(params["opacities"]) <= self.min_opacity
            self._put(params, optimizers, torch.where(dead)[0], torch.where(~dead)[0], torch.arange(count))
            more = max(0, min(self.cap_max, int(1.05 * count)) - count)
            rows = torch.arange(count)
            places = torch.arange(count, count + more)
            self._put(params, optimizers, places, rows, torch.cat([rows, torch.zeros(more, dtype=torch.int64)]))
        opacities, scales = torch.sigmoid(params["opacities"]), params["scales"].exp()
        axes = _rotations(params["quats"].double()) * scales.double()[:, None]
        noise = (
            torch.randn_like(params["means"]) * torch.sigmoid(100 * (0.005 - opacities))[:, None] * lr * self.noise_lr
        )
        params["means"].add_(((axes @ axes.mT) @ noise.double()[:, :, None])[:, :, 0].float())

    def _put(self, params, optimizers, places, seen, rows):
        """Set Gaussians at `places` of the tensors' `rows` to shares of samples from those `seen`."""
        if not len(places):
            return
        opacities = torch.sigmoid(params["opacities"])
        drawn = seen[torch.multinomial(opacities[seen], len(places), replacement=True)]
        shares = (torch.bincount(drawn, minlength=len(opacities)) + 1).double()
        old, new = opacities.double(), 1 - (1 - opacities.double()) ** (1 / shares)
        sums = torch.stack([self._sum(float(o), int(n)) for o, n in zip(new, shares, strict=True)])
        changed = {"opacities": torch.logit(new.clamp(self.min_opacity, 1 - 1e-7)).float()}
        changed["scales"] = (params["scales"].exp() * (old / sums)[:, None]).log().float()
        for name, tensor in list(params.items()):
            value = tensor.detach().clone()
            if name in changed:
                value[drawn] = changed[name][drawn]
            value = value[rows]
            value[places] = value[drawn]
            params[name] = torch.nn.Parameter(value, requires_grad=tensor.requires_grad)
            if name in optimizers:
                own = optimizers[name].state.pop(tensor, {})
                fresh = {key: moment if key == "step" else moment[rows] for key, moment in own.items()}
                for key in fresh.keys() - {"step"}:
                    fresh[key][drawn] = 0
                    fresh[key][len(tensor) :] = 0
                optimizers[name].param_groups[0]["params"] = [params[name]]
                optimizers[name].state[params[name]] = fresh

    @staticmethod
    def _sum(opacity, shares):
        """Compute the sum under the root of (9) of the paper."""
        terms = [
            math.comb(i - 1, k) * (-1) ** k * opacity ** (k + 1) / math.sqrt(k + 1)
            for i in range(1, shares + 1)
            for k in range(i)
        ]
        return torch.tensor(sum(terms), dtype=torch.float64)
