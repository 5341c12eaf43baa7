import sys
from types import ModuleType

import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")
import safetensors.torch

from swerve.planners.rap.backbone import build_backbone, require_timm
from swerve.planners.rap.config import RapConfig
from swerve.scenes import MissingExtraError, SwerveError

IMAGES = torch.randint(0, 256, (2, 3, 48, 80), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class StandIn(torch.nn.Module):
    """Behaves as one of timm's vision transformers, as far as RAP looks at them."""

    embed_dim = 12

    def __init__(self, patch):
        super().__init__()
        self.embed = torch.nn.Conv2d(3, self.embed_dim, patch, stride=patch)

    def forward_intermediates(self, images, *, indices, norm, output_fmt, intermediates_only):
        assert (indices, norm, output_fmt, intermediates_only) == (1, True, "NCHW", True)
        return [self.embed(images)]


@pytest.fixture
def standin(monkeypatch):
    """A module `timm` that notes what it is asked for."""
    asked = []

    def create_model(name, **options):
        asked.append((name, options))
        if options.get("pretrained") and "pretrained_cfg_overlay" not in options:
            raise FileNotFoundError("the hub cannot be reached\nand more")
        if "pretrained_cfg_overlay" in options:
            torch.load(options["pretrained_cfg_overlay"]["file"], weights_only=True)
        return StandIn(int(name[-2:]))

    timm = ModuleType("timm")
    vars(timm).update(
        create_model=create_model, is_model=lambda name: name.startswith("vit"), list_models=lambda pattern: ["vit_a"]
    )
    monkeypatch.setitem(sys.modules, "timm", timm)
    return asked


def test_the_tiny_one_sees_places_and_colours():
    torch.manual_seed(0)
    backbone = build_backbone(RapConfig.tiny())
    features = backbone(IMAGES)
    assert features.shape == (2, backbone.width, 6, 10)
    assert backbone.patch == 8
    changed = IMAGES.clone()
    changed[0, 0, 20, 30] += 90
    change = (backbone(changed) - features).abs().sum(dim=1)
    assert change[0].argmax().item() == (20 // 8) * 10 + 30 // 8
    assert not change[1].any()
    assert (backbone(IMAGES.flip(3)).flip(3) - features).abs().max() > 1e-3
    features.sum().backward()
    assert all(one.grad is not None for one in backbone.parameters())


def test_a_frozen_one_stays_as_it_is():
    torch.manual_seed(0)
    backbone = build_backbone(RapConfig.tiny(frozen=True))
    assert not backbone(IMAGES).requires_grad
    parent = torch.nn.Sequential(backbone).train()
    assert parent.training
    assert not any(one.training for one in backbone.modules())
    assert not any(one.requires_grad for one in backbone.parameters())
    assert build_backbone(RapConfig.tiny()).train().training


def test_a_model_of_timm_by_name_with_weights_from_a_file(standin, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({}, path)
    config = RapConfig.tiny(backbone="vit_small_patch16", backbone_weights=str(path), frozen=True)
    backbone = build_backbone(config)
    assert backbone(IMAGES).shape == (2, 12, 3, 5)
    assert (backbone.width, backbone.patch) == (12, 16)
    wanted = {"num_classes": 0, "img_size": (48, 80), "pretrained": True, "pretrained_cfg_overlay": {"file": str(path)}}
    assert standin == [("vit_small_patch16", wanted)]
    build_backbone(config, weights=False)
    assert standin[1] == ("vit_small_patch16", {"num_classes": 0, "img_size": (48, 80)})
    values = backbone.body.model.embed((IMAGES.float() / 255 - backbone.mean / 255) / (backbone.deviation / 255))
    assert torch.allclose(backbone(IMAGES), values, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"backbone": "resnet"}, "timm has no backbone 'resnet'. Among its models: vit_a"),
        ({"backbone_weights": "nowhere.safetensors"}, "there is no file nowhere.safetensors. Give timm's weights"),
        ({"backbone_weights": "hub"}, r"cannot be made \(the hub cannot be reached\). Where the hub"),
        ({"backbone": "vit_small_patch14"}, "80x48 are no whole number of the 14x14 patches"),
        ({"backbone": "vit_small"}, "is no vision transformer with square patches"),
        ({"backbone": "tiny", "backbone_weights": "hub"}, "cannot be read as weights of backbone tiny"),
        ({"backbone": "tiny", "width": 84}, "84x48 are no whole number of the 8x8 patches of tiny"),
    ],
)
def test_what_cannot_be_had_is_named(changes, complaint, standin):
    with pytest.raises(SwerveError, match=complaint):
        build_backbone(RapConfig.tiny(**{"backbone": "vit_small_patch16", **changes}))


def test_the_small_backbone_takes_weights(tmp_path):
    taught, path = build_backbone(RapConfig.tiny()), tmp_path / "tiny.safetensors"
    path.write_bytes(safetensors.torch.save(taught.body.state_dict()))
    read = build_backbone(RapConfig.tiny(backbone_weights=str(path), frozen=True))
    assert torch.equal(read(IMAGES), taught(IMAGES))
    assert not any(one.requires_grad for one in read.parameters())
    path.write_bytes(safetensors.torch.save({"other": torch.zeros(1)}))
    with pytest.raises(SwerveError, match="cannot be read as weights of backbone tiny"):
        build_backbone(RapConfig.tiny(backbone_weights=str(path)))


def test_a_missing_timm_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"timm is not installed. Install it with: pip install 'PATH\[timm\]'"):
        build_backbone(RapConfig.tiny(backbone="vit_small_patch16"))


@pytest.mark.parametrize(
    "name", ["vit_small_patch16_dinov3", "vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"]
)
def test_dino_from_timm(name, tmp_path):
    """Weights that were saved are weights that are read, at any size of images."""
    try:
        timm = require_timm()
    except SwerveError as error:
        pytest.skip(str(error))
    patch = int(name.split("patch")[1][:2])
    size = {"height": 3 * patch, "width": 5 * patch}
    torch.manual_seed(0)
    other = timm.create_model(name, num_classes=0, img_size=4 * patch)
    path = tmp_path / "weights.pth"
    torch.save(other.state_dict(), path)
    config = RapConfig.tiny(backbone=name, backbone_weights=str(path), frozen=True, **size)
    backbone = build_backbone(config)
    assert backbone(torch.zeros(1, 3, *size.values(), dtype=torch.uint8)).shape == (1, 384, 3, 5)
    assert torch.equal(backbone.body.model.blocks[0].attn.proj.weight, other.blocks[0].attn.proj.weight)
