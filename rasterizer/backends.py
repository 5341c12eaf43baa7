"""Which back ends there are on this machine."""

from importlib.util import find_spec
from typing import Literal

from swerve.scenes import MissingExtraError, SwerveError

Backend = Literal["auto", "numba", "cuda"]
Chosen = Literal["numba", "cuda"]
BACKENDS: tuple[Chosen, ...] = ("numba", "cuda")


def resolved(backend: Backend) -> Chosen:
    """The back end that is used: with "auto" the GPU's if there is one.

    Raises:
        MissingExtraError: the back end's package is not installed.
        SwerveError: there is no device for it.
    """
    if backend == "auto":
        return "numba" if why_not("cuda") else "cuda"
    if reason := why_not(backend):
        if find_spec("numba.cuda") is None:
            raise MissingExtraError("numba-cuda", "pip install 'swerve[cuda]'")
        raise SwerveError(f"backend {backend} cannot be used: {reason}. Use --backend numba or auto")
    return backend


def why_not(backend: Chosen) -> str:
    """Why a back end cannot be used here, in words; empty if it can."""
    if backend == "numba":
        return ""
    if find_spec("numba.cuda") is None:
        return "numba-cuda is not installed"
    from numba import cuda

    if cuda.is_available():
        return ""
    return f"no CUDA device or driver was found ({_driver_error(cuda)})"


def device_name(backend: Chosen) -> str:
    """What a back end draws on."""
    if backend == "numba":
        return "this machine's cores"
    from numba import cuda

    name = getattr(cuda.get_current_device(), "name", "numba's CUDA simulator")
    return name.decode() if isinstance(name, bytes) else str(name)


def _driver_error(cuda: object) -> str:
    """The first line of what the driver said."""
    error = getattr(cuda, "cuda_error", lambda: None)()
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"
