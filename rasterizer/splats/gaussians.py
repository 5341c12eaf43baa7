"""3D Gaussians: the content of a splat scene."""

from dataclasses import dataclass, fields, replace

import numpy as np
import scipy
from jaxtyping import Bool, Float, Float32, Int

from swerve.rasterizer.splats.harmonics import SIZES, rotation_of_harmonics
from swerve.scenes import SwerveError


@dataclass(frozen=True, eq=False)
class Gaussians:
    """3D Gaussians with parameters as in 3D Gaussian Splatting (Kerbl et al. 2023, arXiv 2308.04079).

    The density of one falls off with exp(-d / 2), d the squared Mahalanobis distance under the covariance
    R diag(scale^2) R^T. Its colour in a direction is 0.5 + the sum of its harmonics, and not less than 0.

    Attributes:
        means: centres, metres.
        quaternions: target_from_principal_axes as (w, x, y, z), of any length but zero.
        log_scales: natural logarithm of the standard deviation along each axis, of metres.
        opacity_logits: log(o / (1 - o)), o the opacity at the centre.
        sh_coefficients: coefficients by function (degree 0, then 1, ...; k = 1, 4, 9 or 16), then red, green, blue,
            each 0 to 1.
    """

    means: Float32[np.ndarray, "n 3"]
    quaternions: Float32[np.ndarray, "n 4"]
    log_scales: Float32[np.ndarray, "n 3"]
    opacity_logits: Float32[np.ndarray, "n"]
    sh_coefficients: Float32[np.ndarray, "n k 3"]

    def __post_init__(self) -> None:
        shapes = {"means": (3,), "quaternions": (4,), "log_scales": (3,), "opacity_logits": ()}
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.dtype != np.float32 or array.shape != (len(self), *shape):
                raise ValueError(f"{name}: must be float32 {(len(self), *shape)}, got {array.dtype} {array.shape}")
        k = self.sh_coefficients.shape[1] if self.sh_coefficients.ndim == 3 else -1
        if (
            self.sh_coefficients.dtype != np.float32
            or self.sh_coefficients.shape != (len(self), k, 3)
            or k not in SIZES
        ):
            wanted = f"float32 ({len(self)}, 1, 4, 9 or 16, 3)"
            raise ValueError(
                f"sh_coefficients: must be {wanted}, got {self.sh_coefficients.dtype} {self.sh_coefficients.shape}"
            )

    def __len__(self) -> int:
        return len(self.means)

    @property
    def degree(self) -> int:
        """Degree of the harmonics, 0 to 3."""
        return SIZES.index(self.sh_coefficients.shape[1])

    @classmethod
    def empty(cls, degree: int = 0) -> "Gaussians":
        """Return an empty set."""
        shapes = ((0, 3), (0, 4), (0, 3), (0,), (0, SIZES[degree], 3))
        return cls(*(np.zeros(shape, np.float32) for shape in shapes))

    def select(self, rows: Int[np.ndarray, "m"] | Bool[np.ndarray, "n"]) -> "Gaussians":
        """Select the given Gaussians."""
        return Gaussians(*(getattr(self, field.name)[rows] for field in fields(self)))

    def with_sh_degree(self, degree: int) -> "Gaussians":
        """Return the same Gaussians with fewer harmonics, or more, which are zero."""
        harmonics = np.zeros((len(self), SIZES[degree], 3), np.float32)
        shared = min(SIZES[degree], self.sh_coefficients.shape[1])
        harmonics[:, :shared] = self.sh_coefficients[:, :shared]
        return replace(self, sh_coefficients=harmonics)

    def concatenate(self, *others: "Gaussians") -> "Gaussians":
        """Concatenate sets, with the highest degree of harmonics among them."""
        degree = max(part.degree for part in (self, *others))
        parts = [part.with_sh_degree(degree) for part in (self, *others)]
        return Gaussians(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(self)))

    def transform(self, target_from_source: Float[np.ndarray, "4 4"]) -> "Gaussians":
        """Transform to another frame; harmonics are rotated as well.

        Args:
            target_from_source: a rigid transform.
        """
        turn = target_from_source[:3, :3]
        w, x, y, z = scipy.spatial.transform.Rotation.from_matrix(turn).as_quat(scalar_first=True)
        times = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
        harmonics = np.einsum("ij,njc->nic", rotation_of_harmonics(turn, self.degree), self.sh_coefficients)
        return replace(
            self,
            means=(self.means @ turn.T + target_from_source[:3, 3]).astype(np.float32),
            quaternions=(self.quaternions @ times.T).astype(np.float32),
            sh_coefficients=harmonics.astype(np.float32),
        )

    def check(self, where: str) -> None:
        """Check for values that cannot be rendered.

        Raises:
            SwerveError: a value is not finite, or a quaternion is zero.
        """
        for field in fields(self):
            array = getattr(self, field.name)
            wrong = np.flatnonzero(~np.isfinite(array).all(axis=tuple(range(1, array.ndim))))
            if len(wrong):
                raise SwerveError(f"{where}: {field.name} of Gaussian {wrong[0]} are not finite ({len(wrong)} in all)")
        flat = np.flatnonzero(~self.quaternions.any(axis=1))
        if len(flat):
            raise SwerveError(f"{where}: the quaternion of Gaussian {flat[0]} is zero ({len(flat)} in all)")
