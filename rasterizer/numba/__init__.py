"""CPU back end: numba kernels for scan conversion and shading."""
