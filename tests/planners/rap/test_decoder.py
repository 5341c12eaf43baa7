from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from swerve.planners.learning.neck import Neck, camera_positions
from swerve.planners.learning.projection import CameraRig, patch_centres, project, sample
from swerve.planners.rap.decoder import Decoder, PoseAttention, body_points
from swerve.planners.rap.rap_config import RapConfig
from swerve.planners.rap.rap_model import RapModel
from tests.support.rap_views import inputs_of_images, turning_batch

CONFIG = RapConfig.tiny(cameras=("front", "back"), dim=16, mlp_dim=16, heads=2, proposals=3)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return RapModel(CONFIG).eval()


def features_of(config, count, seed=0):
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(
        count, len(config.cameras), config.dim, config.image_height // 8, config.image_width // 8, generator=chance
    )


def inputs(count=2, config=CONFIG, seed=0):
    chance = torch.Generator().manual_seed(seed)
    shape = (count, len(config.cameras), 3, config.image_height, config.image_width)
    images = torch.randint(0, 256, shape, generator=chance, dtype=torch.uint8)
    return inputs_of_images(config, images, torch.linspace(2, 9, count), torch.arange(count) % 4)


def moved(attention):
    """Attention that looks elsewhere from pose to pose, as a trained one does."""
    for layer in (attention.offsets, attention.weights):
        torch.nn.init.normal_(layer.weight, std=0.3)
    return attention


def test_shapes(model):
    output = model(inputs(3))
    assert output.refinements.shape == (2, 3, 3, 8, 3)
    assert output.logits.shape == (3, 3, 8)
    assert output.features.shape == (3, 2, 48, 6, 10)
    assert output.content.shape == (3, 2, 16, 6, 10)
    assert torch.equal(output.poses, output.refinements[1])


def test_every_parameter_is_trained(model):
    for layer in model.decoder.layers:
        moved(layer.cross_attention)
    output = model.train()(inputs(3))
    (output.refinements.sum() + output.logits.sum()).backward()
    lazy = [name for name, one in model.named_parameters() if one.grad is None or not one.grad.abs().sum() > 0]
    assert lazy == []


def test_bug_a5_every_corner_is_looked_at_at_every_height():
    poses = torch.tensor([[[10.0, 2.0, torch.pi / 2]]])
    footprint = torch.tensor([[[4.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [4.0, -1.0]]])
    points = body_points(poses, footprint, torch.tensor([0.0, 1.5, 3.0]))
    corners = [(9, 6), (9, 1), (11, 1), (11, 6)]
    expected = [(x, y, z) for x, y in corners for z in (0.0, 1.5, 3.0)]
    np.testing.assert_allclose(points[0, 0].numpy(), expected, atol=1e-5)


def test_features_are_sampled_at_the_very_pixel():
    """Features that are the pixel coordinates of the patches' centres come back as the pixels asked for."""
    centres = patch_centres(6, 10, 8)
    maps = centres.T.reshape(1, 1, 2, 6, 10).double()
    pixels = torch.tensor([[[4.0, 4.0], [76.0, 44.0], [40.0, 24.0], [17.3, 30.9]]], dtype=torch.float64)[None]
    np.testing.assert_allclose(sample(maps, pixels, (80, 48))[0, 0].T.numpy(), pixels[0, 0].numpy(), atol=1e-9)
    rim = torch.tensor([[[[0.5, 24.0], [79.5, 47.5]]]], dtype=torch.float64)
    np.testing.assert_allclose(sample(maps, rim, (80, 48))[0, 0].T.numpy(), [[4, 24], [76, 44]], atol=1e-9)
    inner = torch.tensor([[[[40.5, 25.0], [17.3, 30.9]]]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda places: sample(maps, places, (80, 48)), (inner,))


def test_poses_see_where_they_project():
    """With the weights that it begins with, attention is the mean of what the visible points show."""
    torch.manual_seed(0)
    config = RapConfig.tiny(dim=4, heads=1, heights=(0.0, 1.0))
    attention, given = PoseAttention(config), inputs(1, config)
    torch.nn.init.eye_(attention.values.weight)
    torch.nn.init.eye_(attention.output_projection.weight)
    for layer in (attention.values, attention.output_projection):
        torch.nn.init.zeros_(layer.bias)
    maps = features_of(config, 1)
    poses = torch.tensor([[[15.0, 1.0, 0.1], [25.0, -3.0, 0.0], [-20.0, 0.0, 0.0]]])
    seen = attention(torch.zeros(1, 3, 4), poses, maps, given)
    points = body_points(poses, given.footprint, torch.tensor([0.0, 1.0]))
    for row in range(3):
        pixels, _, visible = project(given.rig, points[:, row])
        shown = sample(maps, pixels, given.rig.size)[0, 0].T[visible[0, 0]]
        expected = shown.mean(dim=0) if len(shown) else torch.zeros(4)
        np.testing.assert_allclose(seen[0, row].detach().numpy(), expected.numpy(), atol=1e-5)
        assert bool(visible.any()) == (row < 2)


def test_bug_a4_a_sample_does_not_depend_on_its_batch(model):
    """In the original the first sample's visibility holds for all; here rigs, too, are each sample's own."""
    for layer in model.decoder.layers:
        moved(layer.cross_attention)
    batch = inputs(4)
    turned = batch.rig.rows(torch.arange(4))
    turned.camera_from_ego[1:] = turned.camera_from_ego[1:].flip(1)
    batch = replace(batch, rig=turned)
    whole = model(batch)
    for row in range(4):
        alone = model(batch.rows(torch.tensor([row])))
        np.testing.assert_allclose(whole.poses[row].detach().numpy(), alone.poses[0].detach().numpy(), atol=1e-4)
        np.testing.assert_allclose(whole.logits[row].detach().numpy(), alone.logits[0].detach().numpy(), atol=1e-4)
    unturned = model(replace(batch, rig=inputs(4).rig))
    assert (unturned.logits - whole.logits)[1:].abs().max() > 1e-3


def test_bug_a7_batches_of_any_size(model):
    for count in (1, 2, 17):
        assert model(inputs(count)).poses.shape == (count, 3, 8, 3)


def test_missing_images_are_not_looked_at(model):
    """In the original a missing photograph is a black image like any other."""
    batch, other = inputs(2), inputs(2, seed=1)
    absent = batch.present.clone()
    absent[:, 1] = False
    images = torch.stack([batch.images[:, 0], other.images[:, 1]], dim=1)
    for change, expected in ((absent, True), (batch.present, False)):
        one, two = (model(replace(batch, images=each, present=change)) for each in (batch.images, images))
        assert torch.equal(one.logits, two.logits) is expected
    nothing = torch.zeros_like(batch.present)
    assert model(replace(batch, present=nothing)).logits.isfinite().all()


def test_offsets_are_learned_through_the_projection():
    """A feature that falls off to the left: attention is drawn to the right, in metres."""
    torch.manual_seed(0)
    config = RapConfig.tiny(dim=4, heads=1, heights=(0.0,))
    attention, given = PoseAttention(config), inputs(1, config)
    torch.nn.init.eye_(attention.values.weight)
    torch.nn.init.eye_(attention.output_projection.weight)
    ramp = torch.linspace(0, 1, config.image_width // 8).expand(1, 1, 4, config.image_height // 8, -1)
    seen = attention(torch.zeros(1, 1, 4), torch.tensor([[[15.0, 0.0, 0.0]]]), ramp, given)
    (-seen.sum()).backward()
    pull = attention.offsets.bias.grad.reshape(4, 3)
    # Downhill of minus the feature: y falls (the right is at negative y).
    assert (pull[:, 1] > 1e-4).all()


def test_the_neck_knows_calibration_and_not_the_cameras_number():
    torch.manual_seed(0)
    neck, rig = Neck(CONFIG, 48, 8), inputs(1).rig
    swapped = CameraRig(rig.model, rig.intrinsics, rig.coefficients, rig.limit, rig.camera_from_ego.flip(1), rig.size)
    places = neck.embedding(rig, 6, 10)
    assert (places[:, 0] - places[:, 1]).abs().max() > 1e-2
    np.testing.assert_allclose(
        neck.embedding(swapped, 6, 10).detach().numpy(), places.flip(1).detach().numpy(), atol=1e-5
    )
    zoomed = replace(rig, intrinsics=rig.intrinsics * torch.tensor([2.0, 2.0, 1.0, 1.0]))
    assert (neck.embedding(zoomed, 6, 10) - places).abs().max() > 1e-2
    straight = replace(rig, coefficients=torch.zeros_like(rig.coefficients))
    bent = (neck.embedding(straight, 6, 10) - places).abs().amax(dim=(0, 1, 2))
    assert bent[0, 0] > 10 * bent[2:4, 4:6].mean() > 0


def test_mixed_precision_does_not_move_cameras():
    rig = inputs(1).rig
    placed = rig.camera_from_ego.double().inverse()[..., :3, 3]
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_allclose(camera_positions(rig).numpy(), placed.numpy(), atol=1e-5)


def test_content_is_what_is_seen_and_not_where():
    torch.manual_seed(0)
    neck, rig = Neck(CONFIG, 48, 8), inputs(1).rig
    features = torch.randn(1, 2, 48, 6, 10)
    content, placed = neck(features, rig)
    np.testing.assert_allclose(
        (placed - content).detach().numpy(), neck.embedding(rig, 6, 10).detach().numpy(), atol=1e-5
    )
    np.testing.assert_allclose(neck.content(features.flip(4)).flip(4).detach(), content.detach(), atol=1e-6)


def test_poses_are_near_where_cars_go():
    torch.manual_seed(0)
    batch = turning_batch(RapConfig.tiny(), 4)
    poses = RapModel(RapConfig.tiny())(batch.inputs).poses.detach()
    assert poses[..., 0].abs().max() < 60
    assert poses[..., 2].abs().max() < 4


def test_decoders_of_a_seed_are_the_same():
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(Decoder(CONFIG).state_dict())
    assert all(torch.equal(one, made[1][name]) for name, one in made[0].items())
