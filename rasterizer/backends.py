"""Rendering back ends and their availability on this machine."""

import os
from importlib.metadata import distributions, version
from importlib.util import find_spec
from typing import Literal

from swerve.scenes import MissingExtraError, SwerveError

Backend = Literal["auto", "numba", "cuda", "nvdiffrast"]
Chosen = Literal["numba", "cuda", "nvdiffrast"]
BACKENDS: tuple[Chosen, ...] = ("numba", "cuda", "nvdiffrast")
SplatBackend = Literal["auto", "numba", "gsplat", "gsplat-ut"]
SplatChosen = Literal["numba", "gsplat", "gsplat-ut"]
SPLAT_BACKENDS: tuple[SplatChosen, ...] = ("numba", "gsplat", "gsplat-ut")
# Function signatures of gsplat differ between releases.
_GSPLAT = "1.5.3"
_GSPLAT_NEEDS = (
    ("torch", "torch", "pip install 'PATH[torch,gsplat]'"),
    ("gsplat", "gsplat", "pip install 'PATH[torch,gsplat]'"),
)
# Modules to import for each back end, and the command that installs them.
_NEEDED: dict[Chosen | SplatChosen, tuple[tuple[str, str, str], ...]] = {
    "numba": (),
    "gsplat": _GSPLAT_NEEDS,
    "gsplat-ut": _GSPLAT_NEEDS,
    "cuda": (("numba_cuda", "numba-cuda", "pip install 'PATH[cuda]'"),),
    "nvdiffrast": (
        ("torch", "torch", "pip install 'PATH[torch]'"),
        (
            "nvdiffrast",
            "nvdiffrast (for research only, see docs/backends.md)",
            "pip install --no-build-isolation git+https://github.com/NVlabs/nvdiffrast",
        ),
    ),
}


def resolve_backend(backend: Backend) -> Chosen:
    """Resolve a back end: "auto" is cuda if a GPU is available, else numba; nvdiffrast is never chosen by "auto".

    Raises:
        MissingExtraError: the back end's package is not installed.
        SwerveError: there is no usable device.
    """
    if backend == "auto":
        return "numba" if unavailable_reason("cuda") else "cuda"
    _check(backend)
    return backend


def resolve_splat_backend(backend: SplatBackend) -> SplatChosen:
    """Resolve a back end for Gaussian splats: "auto" is gsplat if available, else numba.

    Raises:
        MissingExtraError: the back end's package is not installed.
        SwerveError: the package has another version, or there is no usable device.
    """
    if backend == "auto":
        return "numba" if unavailable_reason("gsplat") else "gsplat"
    _check(backend)
    return backend


def _check(backend: Chosen | SplatChosen) -> None:
    if missing := _missing(backend):
        raise MissingExtraError(*missing[0])
    if reason := unavailable_reason(backend):
        raise SwerveError(f"backend {backend} cannot be used: {reason}. Use --backend numba or auto")


def unavailable_reason(backend: Chosen | SplatChosen) -> str:
    """Return the reason why a back end cannot be used here; empty if it can.

    Failures to build gsplat's kernels only show at the first rendering.
    """
    if missing := _missing(backend):
        return f"{missing[0][0]} is not installed"
    if backend == "numba":
        return ""
    if backend in ("gsplat", "gsplat-ut") and (found := version("gsplat").split("+")[0]) != _GSPLAT:
        return f"gsplat {found} is installed, Swerve requires {_GSPLAT}"
    if backend != "cuda":
        import torch

        return "" if torch.cuda.is_available() else "torch finds no CUDA device"
    from numba import cuda

    if cuda.is_available():
        return ""
    return f"no CUDA device or driver was found ({_driver_error(cuda)})"


def device_name(backend: Chosen | SplatChosen) -> str:
    """Return the name of the device that a back end renders on."""
    if backend == "numba":
        return "CPU"
    if backend != "cuda":
        import torch

        return torch.cuda.get_device_name()
    from numba import cuda

    name = getattr(cuda.get_current_device(), "name", "numba's CUDA simulator")
    return name.decode() if isinstance(name, bytes) else str(name)


def rendering_packages(backend: Chosen) -> tuple[str, ...]:
    """Return installed packages, beside numba, whose version may change the rendered images."""
    named = {"numba": (), "cuda": ("numba-cuda",), "nvdiffrast": ("nvdiffrast", "torch")}[backend]
    return tuple(name for name in named if any(distributions(name=name)))


def _missing(backend: Chosen | SplatChosen) -> list[tuple[str, str]]:
    """Return the missing packages of a back end, with the commands to install them."""
    if backend == "cuda" and os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        return []  # The simulator is a part of numba. So is an older CUDA target, which cannot compile these kernels.
    return [(package, install) for module, package, install in _NEEDED[backend] if find_spec(module) is None]


def _driver_error(cuda: object) -> str:
    """Return the first line of the driver's error message."""
    error = getattr(cuda, "cuda_error", lambda: None)()
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"
