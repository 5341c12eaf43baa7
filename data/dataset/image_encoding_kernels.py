"""Kernels that convert depth and instance ids to PNG samples, one pass over the image."""

import numba


@numba.njit(cache=True, nogil=True)
def depth_units(depth, units_per_metre, farthest, out):
    """Convert depth to rounded units; 0 where it is not finite."""
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            units = depth[row, column] * units_per_metre + 0.5
            # Comparisons with NaN are false, so it becomes 0, as infinity does.
            finite = units < 1e30
            out[row, column] = min(max(units, 0.0), farthest) if finite else 0


@numba.njit(cache=True, nogil=True)
def instance_bytes(instance, out):
    """Write the three low bytes, lowest first; return whether every id fits into them."""
    seen = 0
    for row in range(instance.shape[0]):
        for column in range(instance.shape[1]):
            number = instance[row, column]
            seen |= number
            out[row, column, 0] = number & 255
            out[row, column, 1] = (number >> 8) & 255
            out[row, column, 2] = (number >> 16) & 255
    return 0 <= seen < 1 << 24
