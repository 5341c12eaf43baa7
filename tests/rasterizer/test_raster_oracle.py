"""The rasterizer against an independent ray caster (trimesh with embree) on the same triangles."""

import numpy as np
import pytest

from swerve.data.sources.av2.av2_source import read_log
from swerve.rasterizer import Style, render
from swerve.scenes.primitives import build_dynamic, build_static
from swerve.scenes.transforms import rigid_transform, rotation_about_z
from tests.support.drawn_scenes import LENSES, away_from_edges, cast, looking, random_scene
from tests.support.simple_log import simple_log

OUTPUTS = ("rgb", "depth", "semantic", "instance")


def compare(primitives, camera, world_from_ego):
    view = render(primitives, [camera], world_from_ego[None], outputs=OUTPUTS)[0][0]
    triangle, depth = cast(primitives, camera, world_from_ego)
    instance = np.where(triangle >= 0, primitives.instances[triangle], 0)
    semantic = np.where(triangle >= 0, primitives.semantics[triangle], 0)
    away = away_from_edges(instance)
    assert away.mean() > 0.5
    assert (view.instance == instance)[away].mean() >= 0.999
    assert (view.semantic == semantic)[away].mean() >= 0.999
    # Depth is a plane's, so it is compared where both see the same triangle and not merely the same thing.
    same = away_from_edges(triangle) & (triangle >= 0) & (view.instance == instance)
    np.testing.assert_allclose(view.depth[same], depth[same], rtol=1e-3)
    assert np.isinf(view.depth[view.instance == 0]).all()
    # Everywhere, edges included: nearly all.
    assert (view.instance == instance).mean() >= 0.999
    return view, triangle, depth, away


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
@pytest.mark.parametrize("seed", range(4))
def test_rays_hit_what_is_drawn(lens, seed):
    rng = np.random.default_rng(100 + seed)
    ego = rigid_transform(rotation_about_z(np.float64(rng.uniform(-3, 3))), rng.uniform(-3, 3, 3) * [1, 1, 0.1])
    camera = looking(yaw=seed * 1.3, lens=lens, focal=[250.0, 160.0, 400.0, 120.0][seed])
    compare(random_scene(seed), camera, ego)


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_a_rolled_and_pitched_camera(lens):
    roll, pitch = 0.5, 0.3
    tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    camera = looking(lens=lens)
    camera = camera.mounted(camera.ego_from_camera @ rigid_transform(tilt, np.zeros(3)))
    compare(random_scene(9), camera, np.eye(4))


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_colour_is_the_faces_faded_by_its_own_depth(lens):
    """Per pixel: palette x (1 - z / 120), to the rounding of a byte."""
    primitives = random_scene(3)
    view, triangle, depth, away = compare(primitives, looking(lens=lens), np.eye(4))
    same = away & away_from_edges(triangle) & (triangle >= 0) & (view.instance == primitives.instances[triangle])
    color = Style.rap().palette[primitives.semantics[triangle], primitives.faces[triangle]]
    expected = color * (1 - depth / 120)[..., None].clip(0)
    assert np.abs(view.rgb[same] - expected[same]).max() <= 0.6


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_a_log_with_its_map(lens):
    """Thin ribbons, layers of millimetres, a crossing: what the program really draws."""
    log = simple_log(slope=0.02)
    primitives = build_static(log.road_map).concatenate(build_dynamic(log.tracks, log.lights, 60))
    compare(primitives, looking(lens=lens, position=(1.5, 0.0, 1.6)), log.ego.world_from_ego[60])


def test_a_lens_that_is_blind_in_the_corners():
    """There nothing is drawn, whatever is in front of the camera."""
    from swerve.scenes import Lens, LensModel

    camera = looking(lens=Lens(LensModel.BROWN, (-0.3, 0.0, 0.0, 0.0)), focal=180.0)
    corner = camera.unproject(np.array([[0.5, 0.5]]))
    assert np.isnan(corner).any()
    view, triangle, _, _ = compare(random_scene(5), camera, np.eye(4))
    assert view.instance[0, 0] == 0
    assert triangle[0, 0] == -1


@pytest.mark.parametrize("lens", [LENSES["pinhole"], LENSES["brown"]], ids=["pinhole", "brown"])
def test_a_real_moment(test_data, lens):
    """The map and the agents of an Argoverse 2 log: surfaces millimetres apart, paint, dense traffic."""
    log = read_log(test_data / "av2" / "adcf7d18-0510-35b0-a2fa-b4cea13a6d76")
    step = 145
    primitives = build_static(log.road_map).concatenate(build_dynamic(log.tracks, log.lights, step))
    for yaw in (0.0, 2.0):
        camera = looking(yaw, (1.5, 0.0, 1.5), lens, width=960, height=560, focal=772.0)
        compare(primitives, camera, log.ego.world_from_ego[step])
