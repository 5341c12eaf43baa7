"""Fits of whole scenes whose truth is known: nodes, sky, exposures, poses, ground."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from swerve.data.splats.optimization.fit_options import DensificationOptions, FitOptions, LearningRate, LearningRates
from swerve.data.splats.optimization.fit_scene import fit_scene
from swerve.data.splats.optimization.fit_state import FitCheckpoint
from swerve.data.splats.optimization.initial_gaussians import gaussians_at_points
from swerve.rasterizer.splats import Gaussians, Sky, render_splats
from swerve.scenes import SwerveError
from swerve.scenes.transforms import rigid_transform, rotation_about_z
from tests.support import splat_toys as toys

NO_GROWTH = DensificationOptions(start_step=10**6)
# For fits of so few steps.
FAST = LearningRates(sh0=LearningRate(4e-2, 4e-3), sky=LearningRate(4e-2, 2e-3), means=LearningRate(2e-3, 2e-4))
# What is not tested is left out. Toys are of balls, not of surfaces.
PLAIN = FitOptions(steps=120, densification=NO_GROWTH, exposures=False, flatness_weight=0.0, rates=FAST)


def grey(gaussians):
    """The same without its colours."""
    return replace(gaussians, sh_coefficients=0 * gaussians.sh_coefficients)


def test_what_moves_is_learned_by_its_node_and_does_not_smear():
    node = toys.crossing(toys.box())
    true = toys.scene(toys.wall(), [node])
    shots = [toys.shot(true, time, toys.ego_pose(0.1 * k)) for k, time in enumerate(range(0, 600_001, 100_000))]
    start = toys.scene(grey(toys.wall()), [replace(node, gaussians=grey(node.gaussians))])
    fitted = fit_scene(start, shots, PLAIN, sizes={"crosser": toys.BOX_SIZE}).scene
    # Between two shots, from another place.
    unseen = (350_000, toys.ego_pose(0.25, 0.02))
    truth = toys.drawn_from(true, *unseen).color
    assert toys.psnr_of(toys.drawn_from(fitted, *unseen).color, truth) > 26
    empty = toys.drawn_from(replace(true, nodes=()), *unseen).color
    assert toys.psnr_of(toys.drawn_from(replace(fitted, nodes=()), *unseen).color, empty) > 26
    # Without the node the wall takes some of its colours.
    smeared = fit_scene(replace(start, nodes=()), shots, PLAIN).scene
    assert toys.psnr_of(toys.drawn_from(smeared, *unseen).color, empty) < 24
    assert [n.name for n in fitted.nodes] == ["crosser"]
    np.testing.assert_array_equal(fitted.nodes[0].world_from_node, node.world_from_node)


def test_a_drawing_of_the_graph_is_that_of_the_scene():
    """One step at no rate: the loss is that of the images of `render_splats`."""
    nodes = [toys.crossing(toys.box().with_sh_degree(2))]
    rng = np.random.default_rng(0)
    nodes[0].gaussians.sh_coefficients[:, 1:] = rng.normal(0, 0.2, (60, 8, 3))
    sky = Sky(rng.normal(0, 0.2, (4, 3)).astype(np.float32))
    true = toys.scene(toys.wall().with_sh_degree(1), nodes, sky)
    shot = toys.shot(true, 250_000, toys.ego_pose(0.3, 0.1))
    terms = {}
    fit_scene(true, [shot], replace(PLAIN, steps=1), report=lambda progress: terms.update(progress.terms))
    # Half a level of rounding, and colours that are cut off at 0 and 1.
    assert terms["color"] < 0.8 * 0.6 / 255
    assert terms["depth"] < 1e-6
    assert set(terms) == {"color", "ssim", "depth", "outside_box"}


def test_exposures_are_absorbed():
    true = toys.scene(toys.wall())
    gains = np.array([0.7, 1.0, 1.2, 0.85, 1.05])
    shots = [toys.shot(true, k, toys.ego_pose(0.4 * k - 0.8), gain) for k, gain in enumerate(gains)]
    start = toys.scene(grey(toys.wall()))
    unseen = (9, toys.ego_pose(0.5))
    truth = np.clip(toys.drawn_from(true, *unseen).color, 0, 1) * gains.mean()
    qualities = {}
    for exposures in (True, False):
        fitted = fit_scene(start, shots, replace(PLAIN, exposures=exposures))
        qualities[exposures] = toys.psnr_of(toys.drawn_from(fitted.scene, *unseen).color, truth)
        if exposures:
            found = fitted.exposures @ np.array([0.5, 0.5, 0.5, 1.0], np.float32)
            np.testing.assert_allclose(found.mean(axis=1), 0.5 * gains / gains.mean(), rtol=0.06)
            np.testing.assert_allclose(fitted.exposures.mean(axis=0), np.eye(3, 4), atol=1e-6)
        else:
            np.testing.assert_array_equal(fitted.exposures, np.tile(np.eye(3, 4), (5, 1, 1)))
    assert qualities[True] > qualities[False] + 2


def test_grey_photographs_stay_grey():
    true = toys.scene(toys.wall())
    shots = [toys.shot(true, k, toys.ego_pose(0.4 * k), 1 - 0.2 * k) for k in range(3)]
    shots = [replace(shot, image=np.repeat(shot.image[..., :1], 3, axis=2)) for shot in shots]
    start = toys.scene(grey(toys.wall()), sky=Sky.constant((0.5, 0.5, 0.5)))
    fitted = fit_scene(start, shots, replace(PLAIN, steps=30, exposures=True))
    colors = toys.drawn_from(fitted.scene, 0, toys.ego_pose(0.2)).color
    np.testing.assert_allclose(colors, np.repeat(colors[..., :1], 3, axis=2), atol=1e-4)
    assert np.ptp(colors) > 0.15


def wrong_poses(rng, count):
    """5 cm and 0.5 degrees off in some direction; the first is right."""
    errors = []
    for _ in range(count):
        turn, shift = rng.normal(size=(2, 3))
        turn *= np.deg2rad(0.5) / np.linalg.norm(turn)
        errors.append(rigid_transform(Rotation.from_rotvec(turn).as_matrix(), 0.05 * shift / np.linalg.norm(shift)))
    return np.array([np.eye(4), *errors[1:]])


def apart(poses, others):
    """Mean distances (metres) and angles (degrees)."""
    turns = Rotation.from_matrix(np.swapaxes(poses[:, :3, :3], 1, 2) @ others[:, :3, :3]).magnitude()
    return np.linalg.norm(poses[:, :3, 3] - others[:, :3, 3], axis=1).mean(), np.rad2deg(turns).mean()


def test_wrong_poses_of_the_vehicle_are_put_right():
    true = toys.scene(toys.wall())
    poses = np.array([toys.ego_pose(0.5 * k - 1.0) for k in range(5)])
    errors = wrong_poses(np.random.default_rng(2), 5)
    shots = [
        replace(toys.shot(true, k, pose), world_from_ego=pose @ error)
        for k, (pose, error) in enumerate(zip(poses, errors, strict=True))
    ]
    before = apart(np.array([shot.world_from_ego for shot in shots]), poses)
    # The scene is known, as if by other images, and learns slowly: with the poses alone it would follow them.
    slow = LearningRate(1e-5, 1e-5)
    rates = LearningRates(
        slow,
        slow,
        slow,
        slow,
        slow,
        slow,
        slow,
        ego_rotations=LearningRate(1e-3, 3e-5),
        ego_translations=LearningRate(4e-3, 1e-4),
    )
    fitted = fit_scene(true, shots, replace(PLAIN, steps=150, refine_egos=True, rates=rates))
    after = apart(fitted.world_from_ego, poses)
    np.testing.assert_allclose(before, (0.04, 0.4), rtol=1e-6)
    assert after[0] < 0.35 * before[0]
    assert after[1] < 0.35 * before[1]
    np.testing.assert_array_equal(fitted.world_from_ego[0], poses[0])


def test_wrong_poses_of_a_box_are_put_right():
    """Up to one change of all of them, which its Gaussians can undo: that of the middle pose is taken out."""
    node = toys.crossing(toys.box())
    true = toys.scene(toys.wall(), [node])
    shots = [toys.shot(true, time, toys.ego_pose(0.0)) for time in range(0, 600_001, 100_000)]
    shifts = np.array([0.0, 0.1, -0.1, 0.0, 0.1, -0.1, 0.0])
    wrong = node.world_from_node @ rigid_transform(
        np.tile(np.eye(3), (7, 1, 1)), np.column_stack([0 * shifts, shifts, 0 * shifts])
    )
    start = toys.scene(grey(toys.wall()), [replace(node, gaussians=grey(node.gaussians), world_from_node=wrong)])
    options = replace(PLAIN, refine_boxes=True, rates=replace(FAST, box_translations=LearningRate(4e-3, 4e-4)))
    found = fit_scene(start, shots, options).scene.nodes[0].world_from_node
    off = [np.linalg.inv(true_pose) @ pose for true_pose, pose in zip(node.world_from_node, found, strict=True)]
    sideways = np.array(off)[:, 1, 3]
    assert np.std(sideways) < 0.5 * np.std(shifts)


def ground_at(places):
    """A road that rises by 4 %."""
    return toys.ORIGIN[2] - 0.8 + 0.04 * (places[:, 0] - toys.ORIGIN[0])


def road(rng, noise):
    points = np.column_stack([rng.uniform(1.5, 12, 500), rng.uniform(-3.5, 3.5, 500), np.zeros(500)])
    points[:, 2] = -0.8 + 0.04 * points[:, 0]
    colors = toys.colored(points, 1, 1.5)
    points[:, 2] += rng.normal(0, noise, 500)
    return gaussians_at_points(points, colors, degree=0, opacity=0.9)


def test_the_ground_stays_on_its_surface_when_it_is_seen_from_one_height():
    rng = np.random.default_rng(0)
    flat = road(rng, 0.0)
    flat.log_scales[:, 2] = np.log(0.01)
    true = toys.scene(flat)
    # Always straight ahead, as from a lane: from there much may be anywhere along the rays.
    shots = [replace(toys.shot(true, k, toys.ego_pose(0.0)), depth=None) for k in range(2)]
    start, found = toys.scene(road(np.random.default_rng(0), 0.15)), {}
    above = rigid_transform(rotation_about_z(0.0), toys.ORIGIN + np.array([0.0, 0.8, 1.2]))
    truth = toys.drawn_from(true, 0, above).color
    options = replace(PLAIN, rates=replace(FAST, means=LearningRate(1e-2, 1e-3)))
    for ground in (None, ground_at):
        fitted = fit_scene(start, shots, options, ground).scene
        off = fitted.background.means[:, 2] - (-0.8 + 0.04 * fitted.background.means[:, 0])
        found[ground] = np.sqrt(np.mean(off**2)), toys.psnr_of(toys.drawn_from(fitted, 0, above).color, truth)
    assert found[None][0] > 0.15
    assert found[ground_at][0] < 0.45 * found[None][0]
    assert found[ground_at][1] > found[None][1] + 0.5


def test_the_sky_is_learned():
    rng = np.random.default_rng(4)
    harmonics = rng.normal(0, 0.15, (9, 3)).astype(np.float32)
    few = toys.box().transform(rigid_transform(np.eye(3), np.array([4.0, 0.5, 0.5])))
    true = toys.scene(few, sky=Sky(harmonics))
    shots = [toys.shot(true, k, toys.ego_pose(0.3 * k, 0.2 * k - 0.4)) for k in range(5)]
    start = toys.scene(grey(few), sky=Sky(np.zeros((9, 3), np.float32)))
    fitted = fit_scene(start, shots, PLAIN).scene
    pose = toys.ego_pose(0.1, 0.3)
    nothing = Gaussians.empty()
    truth, found = (toys.drawn_from(toys.scene(nothing, sky=sky), 0, pose).color for sky in (true.sky, fitted.sky))
    assert toys.psnr_of(found, truth) > 40


def test_ignored_pixels_say_nothing():
    true = toys.scene(toys.wall())
    ignored = np.zeros((40, 56), bool)
    ignored[10:30, 20:40] = True
    results = []
    for level in (0, 255):
        shot = toys.shot(true, 0, toys.ego_pose(0.0), ignored=ignored)
        shot.image[ignored] = level
        shot.depth.depth[ignored] = 1.0 + level
        results.append(fit_scene(toys.scene(grey(toys.wall())), [shot], replace(PLAIN, steps=5)).scene.background)
    np.testing.assert_array_equal(results[0].means, results[1].means)
    np.testing.assert_array_equal(results[0].sh_coefficients, results[1].sh_coefficients)


def everything():
    """A start, shots and options where all parts take part."""
    node = toys.crossing(toys.box().with_sh_degree(1))
    true = toys.scene(toys.wall(120), [node], Sky(np.zeros((4, 3), np.float32)))
    shots = [toys.shot(true, time, toys.ego_pose(0.2 * k)) for k, time in enumerate(range(0, 300_001, 100_000))]
    start = replace(true, background=grey(true.background))
    growth = DensificationOptions(start_step=3, stop_step=30, interval=4, grad2d_threshold=1e-5, max_gaussians=240)
    options = FitOptions(steps=24, densification=growth, refine_egos=True, refine_boxes=True)
    return start, shots, options, ground_at, {"crosser": toys.BOX_SIZE}


class Stop(Exception):
    """Raised to stop a fit."""


@pytest.mark.parametrize("at", [2, 8, 17])
def test_a_fit_laid_aside_goes_on_to_the_same_bytes(at):
    start, shots, options, ground, sizes = everything()
    kept, counts = [], []

    def stop(progress):
        counts.append(progress.count)
        if progress.step == at:
            kept.append(progress.state().to_bytes())
            raise Stop

    whole = fit_scene(start, shots, options, ground, sizes)
    with pytest.raises(Stop):
        fit_scene(start, shots, options, ground, sizes, stop)
    state = FitCheckpoint.from_bytes(kept[0])
    assert state.step == at
    steps = []
    again = fit_scene(start, shots, options, ground, sizes, lambda progress: steps.append(progress.step), state)
    assert steps == list(range(at + 1, 25))
    assert len(whole.scene.background) > 120
    for one, two in zip(parts(whole), parts(again), strict=True):
        assert one.tobytes() == two.tobytes()


def parts(fitted):
    """All arrays of a fit."""
    groups = [fitted.scene.background, *(node.gaussians for node in fitted.scene.nodes)]
    arrays = [array for group in groups for array in vars(group).values()]
    poses = [node.world_from_node for node in fitted.scene.nodes]
    return [*arrays, *poses, fitted.scene.sky.sh_coefficients, fitted.exposures, fitted.world_from_ego]


def test_a_fit_goes_on_with_its_own_state_alone():
    start, shots, options, ground, sizes = everything()
    kept = []
    options = replace(options, steps=2)
    fit_scene(start, shots, options, ground, sizes, lambda progress: kept.append(progress.state()))
    with pytest.raises(SwerveError, match="the checkpoint is of another fit"):
        fit_scene(start, shots, replace(options, seed=1), ground, sizes, state=kept[0])
    brighter = replace(
        start, background=replace(start.background, sh_coefficients=start.background.sh_coefficients + 0.1)
    )
    farther = [replace(shot, camera=replace(shot.camera, fx=50.0)) for shot in shots]
    for other in [
        (start, shots[1:], ground),
        (brighter, shots, ground),
        (start, farther, ground),
        (start, shots, None),
    ]:
        with pytest.raises(SwerveError, match="the checkpoint is of another fit"):
            fit_scene(*other[:2], options, other[2], sizes, state=kept[0])
    with pytest.raises(SwerveError, match="not a checkpoint of a fit"):
        FitCheckpoint.from_bytes(b"something else")


def test_previews_show_the_fit_as_it_is():
    start, shots, options, ground, sizes = everything()
    seen = []

    def preview(progress):
        if progress.step % 8 == 0:
            fitted = progress.fitted()
            view = render_splats(fitted.scene.at(0), [toys.CAMERA], fitted.world_from_ego[:1])[0][0]
            seen.append(view.rgb.astype(int))
            assert progress.count == sum(
                len(part.means) for part in (fitted.scene.background, fitted.scene.nodes[0].gaussians)
            )

    fit_scene(start, shots, options, ground, sizes, preview)
    errors = [np.abs(image - shots[0].image).mean() for image in seen]
    assert len(errors) == 3
    assert errors[2] < errors[0]


def test_what_cannot_be_fitted_is_refused():
    start, shots, options, *_ = everything()
    with pytest.raises(SwerveError, match=r"from 1 to 100 \(densification\.max_gaussians\) Gaussians, .*, got 180"):
        fit_scene(start, shots, replace(options, densification=DensificationOptions(max_gaussians=100)))
    start.background.means[3] = np.nan
    with pytest.raises(SwerveError, match="the background cannot be fitted: means of Gaussian 3 are not finite"):
        fit_scene(start, shots, options)
