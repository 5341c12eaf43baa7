"""A fit that can be laid aside: everything that decides how it goes on, as bytes."""

from dataclasses import dataclass

import numpy as np

from swerve.scenes import MissingExtraError, SwerveError

try:
    from safetensors import SafetensorError
    from safetensors.numpy import load, save
except ImportError as error:
    raise MissingExtraError("torch", "pip install 'PATH[torch]', with PATH Swerve's folder") from error

_STEP, _PURPOSE = "step", "purpose"


@dataclass(frozen=True, eq=False)
class FitState:
    """Where a fit is.

    Attributes:
        step: how many are done.
        purpose: digest of what is fitted to what and how, so that a fit goes on with nothing else.
        arrays: parameters, moments of Adam and what growth has seen, by name.
    """

    step: int
    purpose: str
    arrays: dict[str, np.ndarray]

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        purpose = np.frombuffer(bytes.fromhex(self.purpose), np.uint8)
        extra = {_STEP: np.array([self.step], np.int64), _PURPOSE: purpose}
        return save({name: np.require(array, requirements="C") for name, array in (self.arrays | extra).items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> "FitState":
        """What `to_bytes` made.

        Raises:
            SwerveError: it is no state of a fit.
        """
        try:
            arrays = load(data)
            step, purpose = int(arrays.pop(_STEP)[0]), arrays.pop(_PURPOSE).tobytes().hex()
        except (SafetensorError, KeyError, ValueError, IndexError) as error:
            raise SwerveError(f"this is no state of a fit ({error}). Start the fit anew") from error
        return cls(step, purpose, arrays)
