"""Lines of sight through boxes."""

import math

import numba

from swerve.scenes.kernel_options import INTERNAL


@numba.njit(cache=True)
def visible_points(eyes, centers, cosines, sines, sizes, valid, reach, points, shares):
    """Fill (n, t) with the share of each box's points that are seen from the eye; zero beyond `reach` and if invalid.

    Args:
        eyes: (t, 3) positions, m.
        centers: (n, t, 3) of the boxes, m.
        cosines: (n, t) of their headings.
        sines: (n, t) likewise.
        sizes: (n, t, 3) length, width, height, m.
        valid: (n, t) whether they are there.
        reach: m.
        points: (p, 3) of each box, as shares of its size from its middle.
        shares: (n, t) to be filled.
    """
    count, steps = valid.shape
    for t in range(steps):
        for i in range(count):
            shares[i, t] = 0.0
            if not valid[i, t] or math.hypot(centers[i, t, 0] - eyes[t, 0], centers[i, t, 1] - eyes[t, 1]) > reach:
                continue
            seen = 0
            for p in range(len(points)):
                dx, dy = points[p, 0] * sizes[i, t, 0], points[p, 1] * sizes[i, t, 1]
                x = centers[i, t, 0] + cosines[i, t] * dx - sines[i, t] * dy
                y = centers[i, t, 1] + sines[i, t] * dx + cosines[i, t] * dy
                z = centers[i, t, 2] + points[p, 2] * sizes[i, t, 2]
                hidden, away = False, math.hypot(x - eyes[t, 0], y - eyes[t, 1])
                for j in range(count):
                    if j == i or not valid[j, t]:
                        continue
                    gap = math.hypot(centers[j, t, 0] - eyes[t, 0], centers[j, t, 1] - eyes[t, 1])
                    if gap - 0.5 * math.hypot(sizes[j, t, 0], sizes[j, t, 1]) < away and _is_between(
                        eyes, x, y, z, centers, cosines, sines, sizes, j, t
                    ):
                        hidden = True
                        break
                seen += 0 if hidden else 1
            shares[i, t] = seen / len(points)


@numba.njit(cache=True, **INTERNAL)
def _is_between(eyes, x, y, z, centers, cosines, sines, sizes, j, t):
    """Test whether the line from an eye to a point leads through box j (slabs, Kay and Kajiya 1986)."""
    c, s = cosines[j, t], sines[j, t]
    ax, ay = eyes[t, 0] - centers[j, t, 0], eyes[t, 1] - centers[j, t, 1]
    bx, by = x - centers[j, t, 0], y - centers[j, t, 1]
    first, last = 0.0, 1.0
    for axis in range(3):
        if axis == 0:
            a, b = c * ax + s * ay, c * bx + s * by
        elif axis == 1:
            a, b = c * ay - s * ax, c * by - s * bx
        else:
            a, b = eyes[t, 2] - centers[j, t, 2], z - centers[j, t, 2]
        half = 0.5 * sizes[j, t, axis]
        if abs(b - a) < 1e-9:
            if abs(a) > half:
                return False
            continue
        enter, leave = (-half - a) / (b - a), (half - a) / (b - a)
        first, last = max(first, min(enter, leave)), min(last, max(enter, leave))
        if first >= last:
            return False
    return True
