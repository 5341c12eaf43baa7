"""Neck: projection of backbone features, with an embedding of each patch's viewing ray."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swerve.planners.learning.layers import fourier_features, mlp
from swerve.planners.learning.model_config import ModelConfig
from swerve.planners.learning.projection import CameraRig, patch_centres
from swerve.scenes.past_frames import split_past_name

_WAVES = 6
# Camera positions lie within some metres of the rear axle.
_REACH = 4.0
# Past frames are of the last seconds.
_LONGEST = 4.0
_INPUTS = 2 * _WAVES * (3 + 2) + 3 + 1


class Neck(nn.Module):
    """Patch-wise projection of features, and embedding of each patch's position.

    The two are kept separate: `content` depends only on the image content and is what alignment compares, so that no
    alignment gradient reaches the embeddings (in the original it does, although they cancel in its value).
    """

    ages: Tensor

    def __init__(self, config: ModelConfig, width: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.projector = nn.Sequential(mlp(width, config.mlp_dim, config.dim), nn.LayerNorm(config.dim))
        self.embedder = mlp(_INPUTS, config.mlp_dim, config.dim)
        # Planners without past frames have no embedding of time.
        ages = [split_past_name(name)[1] / _LONGEST for name in config.cameras]
        self.age = mlp(2 * _WAVES, config.mlp_dim, config.dim) if any(ages) else None
        self.register_buffer("ages", fourier_features(torch.tensor(ages)[:, None], _WAVES), persistent=False)

    def content(self, features: Float[Tensor, "*b f p q"]) -> Float[Tensor, "*b d p q"]:
        """Project features, independent of the camera."""
        projected: Float[Tensor, "*b d p q"] = self.projector(features.movedim(-3, -1)).movedim(-1, -3)
        return projected

    def embedding(self, rig: CameraRig, rows: int, columns: int) -> Float[Tensor, "b c d p q"]:
        """Compute the embedding of patches: rays of their centres through the lens, camera position, image position.

        Where there are past frames, that of how long ago each image is, too.
        """
        centres = patch_centres(rows, columns, self.patch).to(rig.intrinsics)
        if rig.rays is None or rig.known is None:
            rig = rig.with_rays(self.patch)
        assert rig.rays is not None
        assert rig.known is not None
        rays, known = rig.rays, rig.known
        position = (centres / centres.new_tensor(rig.size)).expand(*rays.shape[:-1], 2)
        waves = fourier_features(torch.cat([rays, position], dim=-1), _WAVES)
        origin = camera_positions(rig)[:, :, None].expand_as(rays) / _REACH
        inputs = torch.cat([waves, origin, known[..., None].to(rays)], dim=-1)
        embedded: Float[Tensor, "b c d p q"] = self.embedder(inputs).movedim(-1, -2).unflatten(-1, (rows, columns))
        if self.age is not None:
            embedded = embedded + self.age(self.ages)[:, :, None, None]
        return embedded

    def forward(
        self, features: Float[Tensor, "b c f p q"], rig: CameraRig
    ) -> tuple[Float[Tensor, "b c d p q"], Float[Tensor, "b c d p q"]]:
        """Return content, and content plus position embedding."""
        content = self.content(features)
        return content, content + self.embedding(rig, *features.shape[-2:])


def camera_positions(rig: CameraRig) -> Float[Tensor, "b c 3"]:
    """Return the camera positions in the ego frame, metres."""
    rotation, translation = rig.camera_from_ego[..., :3, :3], rig.camera_from_ego[..., :3, 3]
    # Not in the half precision of mixed training, which has steps of centimetres at 2 m.
    with torch.autocast(rotation.device.type, enabled=False):
        return -torch.einsum("bcji,bcj->bci", rotation, translation)
