"""Fake of nvdiffrast.torch on the CPU with its conventions, for tests without a GPU.

`rasterize` snaps corners to 1/16 pixel, fills by edge functions in integers with the top-left rule, tests depth in
float32 over the snapped corners, and computes barycentrics and z / w from the corners as they came, as nvdiffrast 0.4
does. It does not clip: every corner must lie before the camera. Gradients are torch's own, through barycentrics and
z / w. `antialias` returns the image as it is, so silhouettes have no gradient here.
"""

import numba
import numpy as np
import torch

SUBPIXELS = 16


class RasterizeCudaContext:
    """Empty context object."""

    def __init__(self, device=None):
        self.device = device


def rasterize(context, pos, tri, resolution, ranges=None, grad_db=True):
    """Return (u, v, z / w, triangle + 1) and zeros; `ranges` (b, 2) of first triangle and count, or pos (b, v, 4)."""
    assert isinstance(context, RasterizeCudaContext)
    assert tri.dtype == torch.int32
    assert pos.is_contiguous()
    assert tri.is_contiguous()
    assert len(tri) > 0
    if pos.dim() == 3:
        images = [_image(corners, tri, (0, len(tri)), resolution) for corners in pos]
    else:
        assert ranges.dtype == torch.int32
        assert ranges.device.type == "cpu"
        images = [_image(pos, tri, (first, count), resolution) for first, count in ranges.tolist()]
    seen = torch.stack(images)
    return seen, torch.zeros_like(seen)


def interpolate(attr, rast, tri):
    """Interpolate attributes at the barycentrics; 0 for background. attr (b, v, n), instanced mode."""
    assert attr.is_contiguous()
    out = []
    for corners, seen in zip(attr.expand(len(rast), -1, -1), rast, strict=True):
        rows = seen[..., 3].detach().long()
        a, b, c = corners[tri[(rows - 1).clamp(min=0)].long()].unbind(-2)
        u, v = seen[..., :1], seen[..., 1:2]
        mixed = u * a + v * b + (1 - u - v) * c
        out.append(torch.where((rows > 0)[..., None], mixed, torch.zeros_like(mixed)))
    return torch.stack(out), None


def antialias(color, rast, pos, tri):
    """Return the image unchanged."""
    assert color.shape[:3] == rast.shape[:3]
    return color


def _image(pos, tri, triangles, resolution):
    """Rasterize some of the triangles into one image."""
    height, width = resolution
    first, count = triangles
    corners = pos[tri[first : first + count].long()]
    if count and not (corners[..., 3] > 0).all():
        raise ValueError("the stand-in does not clip: a corner lies behind the camera")
    owners = np.zeros((height, width), np.int64)
    _fill(corners.detach().numpy().astype(np.float64), owners, np.full((height, width), np.inf, np.float32))
    rows = torch.from_numpy(owners)
    if not count:
        return torch.zeros((height, width, 4), dtype=pos.dtype)
    shares, depth = _barycentrics(corners[(rows - 1).clamp(min=0)], height, width)
    numbers = torch.where(rows > 0, rows + first, 0).to(pos.dtype)
    values = torch.cat([shares[..., :2], depth[..., None], numbers[..., None]], dim=-1)
    return torch.where((rows > 0)[..., None], values, torch.zeros_like(values))


def _barycentrics(corners, height, width):
    """Compute perspective-correct barycentrics and z / w of each pixel's centre in its triangle (h, w, 3, 4)."""
    x = (2 * torch.arange(width, dtype=corners.dtype) + 1) / width - 1
    y = (2 * torch.arange(height, dtype=corners.dtype)[:, None] + 1) / height - 1
    dx = corners[..., 0] - x[:, None] * corners[..., 3]
    dy = corners[..., 1] - y[..., None] * corners[..., 3]
    shares = dx.roll(-1, -1) * dy.roll(-2, -1) - dy.roll(-1, -1) * dx.roll(-2, -1)
    shares = shares / shares.sum(-1, keepdim=True)
    return shares, (shares * corners[..., 2]).sum(-1) / (shares * corners[..., 3]).sum(-1)


@numba.njit
def _fill(corners, owners, nearest):
    """Return number + 1 of the nearest triangle at each pixel; ties go to the first."""
    height, width = owners.shape
    x, y = np.empty(3, np.int64), np.empty(3, np.int64)
    for number in range(corners.shape[0]):
        depth = corners[number, :, 2] / corners[number, :, 3]
        for i in range(3):
            w = corners[number, i, 3]
            x[i] = round((corners[number, i, 0] / w + 1.0) * 0.5 * width * SUBPIXELS)
            y[i] = round((corners[number, i, 1] / w + 1.0) * 0.5 * height * SUBPIXELS)
        area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
        if area == 0:
            continue
        if area < 0:
            x[1], x[2], y[1], y[2] = x[2], x[1], y[2], y[1]
            depth[1], depth[2] = depth[2], depth[1]
        half = SUBPIXELS // 2
        top, bottom = max((min(y) - half) // SUBPIXELS, 0), min((max(y) + half) // SUBPIXELS + 1, height)
        left, right = max((min(x) - half) // SUBPIXELS, 0), min((max(x) + half) // SUBPIXELS + 1, width)
        for row in range(top, bottom):
            for column in range(left, right):
                u, v = column * SUBPIXELS + half, row * SUBPIXELS + half
                inside, z = True, 0.0
                for i in range(3):
                    j, k = (i + 1) % 3, (i + 2) % 3
                    edge_x, edge_y = x[k] - x[j], y[k] - y[j]
                    share = edge_x * (v - y[j]) - edge_y * (u - x[j])
                    owned = edge_y < 0 or (edge_y == 0 and edge_x > 0)
                    inside = inside and (share > 0 or (share == 0 and owned))
                    z += share * depth[i]
                depth_here = np.float32(z / abs(area))
                if inside and -1.0 <= depth_here <= 1.0 and depth_here < nearest[row, column]:
                    nearest[row, column], owners[row, column] = depth_here, number + 1
