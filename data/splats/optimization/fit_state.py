"""Checkpoints of a fit."""

from dataclasses import dataclass

import numpy as np

from swerve.scenes import MissingExtraError, SwerveError

try:
    from safetensors import SafetensorError
    from safetensors.numpy import load, save
except ImportError as error:
    raise MissingExtraError("torch", "pip install 'PATH[torch]', where PATH is Swerve's folder") from error

_STEP, _INPUTS = "step", "inputs_digest"


@dataclass(frozen=True, eq=False)
class FitCheckpoint:
    """Checkpoint of a fit.

    Attributes:
        step: number of finished steps.
        inputs_digest: digest of the fit's inputs, to reject other fits on resumption.
        arrays: parameters, moments of Adam and densification statistics, by name.
    """

    step: int
    inputs_digest: str
    arrays: dict[str, np.ndarray]

    def to_bytes(self) -> bytes:
        """Serialize as a safetensors file."""
        purpose = np.frombuffer(bytes.fromhex(self.inputs_digest), np.uint8)
        extra = {_STEP: np.array([self.step], np.int64), _INPUTS: purpose}
        return save({name: np.require(array, requirements="C") for name, array in (self.arrays | extra).items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> "FitCheckpoint":
        """Deserialize the result of `to_bytes`.

        Raises:
            SwerveError: the data are not a checkpoint.
        """
        try:
            arrays = load(data)
            step, purpose = int(arrays.pop(_STEP)[0]), arrays.pop(_INPUTS).tobytes().hex()
        except (SafetensorError, KeyError, ValueError, IndexError, TypeError, OverflowError) as error:
            raise SwerveError(f"not a checkpoint of a fit ({error}). Start the fit again") from error
        return cls(step, purpose, arrays)
