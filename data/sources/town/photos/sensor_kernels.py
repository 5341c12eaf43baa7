"""Sensor model: blur, vignetting, exposure, noise, tone curve."""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def blur(image, across, down, spare):
    """Blur an image in place with symmetric half kernels along rows and columns."""
    height, width, _ = image.shape
    for row in range(height):
        for column in range(width):
            for k in range(3):
                total = across[0] * image[row, column, k]
                for step in range(1, across.shape[0]):
                    before, after = max(column - step, 0), min(column + step, width - 1)
                    total += across[step] * (image[row, before, k] + image[row, after, k])
                spare[row, column, k] = total
    for row in range(height):
        for column in range(width):
            for k in range(3):
                total = down[0] * spare[row, column, k]
                for step in range(1, down.shape[0]):
                    before, after = max(row - step, 0), min(row + step, height - 1)
                    total += down[step] * (spare[before, column, k] + spare[after, column, k])
                image[row, column, k] = total


@numba.njit(cache=True, nogil=True)
def apply_sensor_model(image, gains, falloff, grain, offsets, noise, saturation, curve, out):
    """Convert linear light to the final image.

    Args:
        image: float32 (h, w, 3), linear light.
        gains: exposure of red, green and blue.
        falloff: vignetting at the corners.
        grain: (n) standard normal numbers, n a power of two.
        offsets: (h) offset into `grain` of each row.
        noise: read noise variance, and variance per unit of light.
        saturation: colour saturation: 0 for grey, 1 for unchanged.
        curve: uint8 (m): tone curve over light from 0 to 1, evenly spaced.
        out: uint8 (h, w, 3).
    """
    height, width, _ = image.shape
    last = np.float32(curve.shape[0] - 1)
    mask = grain.shape[0] - 1
    dark, shot = np.float32(noise[0]), np.float32(noise[1])
    for row in range(height):
        y = (row + 0.5) / height * 2.0 - 1.0
        at = offsets[row]
        for column in range(width):
            x = (column + 0.5) / width * 2.0 - 1.0
            shade = np.float32(1.0 - falloff * 0.5 * (x * x + y * y))
            light = np.float32(0.2126) * image[row, column, 0] * gains[0]
            light += np.float32(0.7152) * image[row, column, 1] * gains[1]
            light += np.float32(0.0722) * image[row, column, 2] * gains[2]
            for k in range(3):
                value = shade * max(light + saturation * (image[row, column, k] * gains[k] - light), np.float32(0.0))
                value += np.sqrt(dark + shot * value) * grain[(at + 3 * column + k) & mask]
                value = min(max(value, np.float32(0.0)), np.float32(1.0))
                out[row, column, k] = curve[int(value * last + np.float32(0.5))]
