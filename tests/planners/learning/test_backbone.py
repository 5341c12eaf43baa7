import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")
import safetensors.torch

from swerve.planners.chainflow.chainflow_config import ChainFlowConfig
from swerve.planners.learning.backbone import build_backbone
from swerve.planners.learning.import_timm import require_timm
from swerve.planners.rap.rap_config import RapConfig
from swerve.scenes import MissingExtraError, SwerveError

IMAGES = torch.randint(0, 256, (2, 3, 48, 80), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class StandIn(torch.nn.Module):
    """Behaves as one of timm's vision transformers, as far as RAP looks at them."""

    embed_dim = 12

    def __init__(self, patch, overlay):
        super().__init__()
        self.feature_info = [{"reduction": patch}]
        self.pretrained_cfg = {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7), **overlay}
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
        overlay = options.get("pretrained_cfg_overlay", {})
        if options.get("pretrained") and not overlay:
            raise FileNotFoundError("the hub cannot be reached\nand more")
        made = StandIn(32 if name.startswith("vit_swin") else int(name[-2:]), overlay)
        made.load_state_dict(overlay.get("state_dict", {}), strict="state_dict" in overlay)
        return made

    timm = ModuleType("timm")
    vars(timm).update(
        create_model=create_model,
        is_model=lambda name: name.startswith("vit"),
        list_models=lambda pattern: ["vit_huge_patch16", "vit_tiny_patch16", "resnet"],
        models=SimpleNamespace(load_state_dict=safetensors.torch.load_file),
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
    backbone = build_backbone(RapConfig.tiny(freeze_backbone=True))
    assert not backbone(IMAGES).requires_grad
    parent = torch.nn.Sequential(backbone).train()
    assert parent.training
    assert not any(one.training for one in backbone.modules())
    assert not any(one.requires_grad for one in backbone.parameters())
    assert build_backbone(RapConfig.tiny()).train().training


def saved(path, tensors):
    path.write_bytes(safetensors.torch.save(tensors))
    return str(path)


def test_a_model_of_timm_by_name_with_weights_from_a_file(standin, tmp_path):
    taught = StandIn(16, {}).state_dict()
    path = saved(tmp_path / "weights.safetensors", {**taught, "head.weight": torch.zeros(2)})
    config = RapConfig.tiny(backbone="vit_small_patch16", backbone_weights=path, freeze_backbone=True)
    backbone = build_backbone(config)
    assert backbone(IMAGES).shape == (2, 12, 3, 5)
    assert (backbone.width, backbone.patch) == (12, 16)
    assert torch.equal(backbone.body.model.embed.weight, taught["embed.weight"])
    (name, options), wanted = standin[0], {"num_classes": 0, "img_size": (48, 80)}
    overlay = options.pop("pretrained_cfg_overlay")
    assert (name, options) == ("vit_small_patch16", {**wanted, "pretrained": True})
    assert (overlay["num_classes"], set(overlay["state_dict"])) == (0, set(taught))
    assert "state_dict" not in backbone.body.model.pretrained_cfg
    build_backbone(config, weights=False)
    assert standin[1] == ("vit_small_patch16", wanted)


def test_colours_are_those_that_the_model_is_used_to(standin):
    backbone = build_backbone(RapConfig.tiny(backbone="vit_small_patch16"))
    mean, deviation = torch.tensor((0.1, 0.2, 0.3))[:, None, None], torch.tensor((0.5, 0.6, 0.7))[:, None, None]
    values = backbone.body.model.embed((IMAGES / 255 - mean) / deviation)
    assert torch.allclose(backbone(IMAGES), values, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"backbone": "resnet"}, "timm has no backbone 'resnet'. Similar models: resnet$"),
        ({"backbone": "foo"}, "timm has no backbone 'foo'. Similar models: vit_small_patch16_dinov3, "),
        ({"backbone_weights": "nowhere.safetensors"}, "there is no file nowhere.safetensors. Give timm's weights"),
        ({"backbone_weights": "hub"}, r"cannot be created \(the hub cannot be reached and more\). Where the hub"),
        ({"backbone": "vit_small_patch14"}, "80x48 are not a multiple of the 14x14 patches"),
        ({"backbone": "vit_small"}, "is not a vision transformer with square patches"),
        ({"backbone": "vit_swin_patch16"}, "is not a vision transformer with square patches"),
        ({"backbone": "tiny", "backbone_weights": "hub"}, "cannot be read as weights of backbone tiny"),
        ({"backbone": "tiny", "image_width": 84}, "84x48 are not a multiple of the 8x8 patches of tiny"),
    ],
)
@pytest.mark.parametrize("family", [RapConfig, ChainFlowConfig])
def test_what_cannot_be_had_is_named_with_the_family(changes, complaint, family, standin):
    with pytest.raises(SwerveError, match=f"^{family.family}: .*{complaint}"):
        build_backbone(family.tiny(**{"backbone": "vit_small_patch16", **changes}))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (safetensors.torch.save({"other": torch.zeros(3)}), 'Missing key.*"embed.weight"'),
        (safetensors.torch.save({"head.bias": torch.zeros(3)}), "it is empty"),
        (b"no weights at all", "header too large"),
        (b"", "header too small"),
    ],
)
def test_a_strangers_file_is_refused(content, reason, standin, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(SwerveError, match=rf"weights.safetensors cannot be read as .*_patch16 \(.*{reason}.*\). Give"):
        build_backbone(RapConfig.tiny(backbone="vit_small_patch16", backbone_weights=str(path)))


def test_the_small_backbone_takes_weights(tmp_path):
    taught, path = build_backbone(RapConfig.tiny()), tmp_path / "tiny.safetensors"
    saved(path, taught.body.state_dict())
    read = build_backbone(RapConfig.tiny(backbone_weights=str(path), freeze_backbone=True))
    assert torch.equal(read(IMAGES), taught(IMAGES))
    assert not any(one.requires_grad for one in read.parameters())
    saved(path, {"other": torch.zeros(1)})
    with pytest.raises(SwerveError, match="cannot be read as weights of backbone tiny"):
        build_backbone(RapConfig.tiny(backbone_weights=str(path)))


def test_a_missing_timm_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"timm is not installed. Install it with: pip install 'PATH\[timm\]'"):
        build_backbone(RapConfig.tiny(backbone="vit_small_patch16"))


@pytest.fixture
def timm():
    """The library itself."""
    try:
        return require_timm()
    except SwerveError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    "name",
    ["vit_tiny_patch16_224", "vit_small_patch16_dinov3", "vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"],
)
def test_features_are_timms_patch_tokens(name, timm, tmp_path):
    """Of weights from a file, whose classifier is left out; without class and register tokens; row by row."""
    patch = int(name.split("patch")[1][:2])
    torch.manual_seed(0)
    other = timm.create_model(name, img_size=(3 * patch, 5 * patch)).eval()
    with torch.no_grad():
        # Else all tokens are nearly alike.
        for one in other.parameters():
            one.add_(0.1 * torch.randn_like(one))
    path = saved(tmp_path / "weights.safetensors", other.state_dict())
    config = RapConfig.tiny(
        backbone=name,
        backbone_weights=path,
        freeze_backbone=True,
        image_height=3 * patch,
        image_width=5 * patch,
        cameras=("a", "b"),
    )
    backbone = build_backbone(config)
    images = torch.randint(0, 256, (2, 3, 3 * patch, 5 * patch), dtype=torch.uint8)
    mean, deviation = (torch.tensor(other.pretrained_cfg[one])[:, None, None] for one in ("mean", "std"))
    with torch.no_grad():
        tokens = other.forward_features((images / 255 - mean) / deviation)[:, -15:]
    expected = tokens.transpose(1, 2).reshape(2, other.embed_dim, 3, 5)
    assert expected.std() > 0.5
    torch.testing.assert_close(backbone(images), expected, atol=1e-3, rtol=1e-3)


def test_weights_of_other_image_sizes_are_read_and_all_of_a_model_learns(timm, tmp_path):
    path = saved(tmp_path / "weights.safetensors", timm.create_model("vit_tiny_patch16_224", img_size=64).state_dict())
    backbone = build_backbone(RapConfig.tiny(backbone="vit_tiny_patch16_224", backbone_weights=path))
    features = backbone.train()(IMAGES)
    assert features.shape == (2, 192, 3, 5)
    features.square().mean().backward()
    assert all(one.grad is not None for one in backbone.parameters())


def test_timm_is_held_to_the_file(timm, tmp_path):
    """Left alone, it gives random weights for a file that has none of a supervised model's."""
    name, path = "vit_tiny_patch16_224", saved(tmp_path / "weights.safetensors", {"other": torch.zeros(3)})
    with pytest.raises(SwerveError, match=r"cannot be read as weights of vit_tiny_patch16_224 .*Missing key.*Give"):
        build_backbone(RapConfig.tiny(backbone=name, backbone_weights=path))
    whole = timm.create_model(name, img_size=(48, 80)).state_dict()
    path = saved(tmp_path / "weights.safetensors", {**whole, "other": torch.zeros(3)})
    with pytest.raises(SwerveError, match=r"Unexpected key.*other"):
        build_backbone(RapConfig.tiny(backbone=name, backbone_weights=path))
    with pytest.raises(SwerveError, match=r"'vit_tiny_patch16_dinov9'. Similar models: .*vit_tiny_patch16_dinov3"):
        build_backbone(RapConfig.tiny(backbone="vit_tiny_patch16_dinov9"))


def test_timm_does_not_need_torchvision():
    """Missing, as here it is made to be, or of another build; afterwards nothing is left in its place."""
    code = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torchvision":
            raise {error}
sys.meta_path.insert(0, Missing())
from swerve.planners.learning.import_timm import require_timm
timm = require_timm()
model = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=0)
import torch
print(tuple(model(torch.zeros(1, 3, 32, 32)).shape), [name for name in sys.modules if name.startswith("torchvision")])
"""
    pytest.importorskip("huggingface_hub", reason="timm is an extra")
    done = subprocess.run(
        [sys.executable, "-c", code.format(error="ModuleNotFoundError(name, name=name)")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "(1, 192) []\n", done.stderr
