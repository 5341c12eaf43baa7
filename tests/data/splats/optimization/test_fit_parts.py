"""Parts of fits: gradients against finite differences, formulas against hand-worked cases."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from swerve.data.splats.optimization.fit_options import FitOptions, LearningRate, LearningRates
from swerve.data.splats.optimization.image_losses import apply_exposure, depth_difference
from swerve.data.splats.optimization.initial_gaussians import gaussians_at_points
from swerve.data.splats.optimization.pose_deltas import apply_pose_deltas, refined_poses, rotations_of
from swerve.data.splats.optimization.regularization import (
    distance_from_ground,
    ground_band,
    min_scale_penalty,
    opacity_outside,
)
from swerve.data.splats.optimization.trainable_graph import Rendering, exposures_of, graph_of, render_graph, scene_of
from swerve.scenes import SwerveError
from swerve.scenes.transforms import rigid_transform
from tests.support import splat_toys as toys


def a_graph():
    node = toys.crossing(toys.box().with_sh_degree(1))
    true = toys.scene(toys.wall(60), [node])
    shots = [toys.shot(true, time, toys.ego_pose(0.1 * k, 0.05 * k)) for k, time in enumerate((0, 130_000, 250_000))]
    return graph_of(true, shots, (3.0, 1.0), LearningRates(), "cpu"), shots


@pytest.mark.parametrize("name", ["ego_rotations", "ego_translations", "box_rotations", "box_translations"])
def test_poses_have_the_slopes_of_the_drawing(name):
    """Central differences, of Gaussians one behind the other: where two change places, the image jumps.

    So it does, a little, at the edge where each is cut off, which is no part of the gradient: hence the tolerance.
    """
    node = toys.crossing(apart(4, 3.2, 0.25))
    true = toys.scene(apart(5, 6.0, 0.6).transform(rigid_transform(np.eye(3), np.array([0.0, 0.2, 0.4]))), [node])
    shots = [toys.shot(true, time, toys.ego_pose(0.1 * k, 0.05 * k)) for k, time in enumerate((0, 130_000))]
    graph, options = (
        graph_of(true, shots, (3.0, 1.0), LearningRates(), "cpu"),
        FitOptions(refine_egos=True, refine_boxes=True),
    )
    x, y = np.meshgrid(np.linspace(-1, 1, 56), np.linspace(-1, 1, 40))
    slopes = torch.from_numpy(np.stack([x + y, x * y - y, np.sin(3 * x)], axis=-1).astype(np.float32))
    row = {"ego": 1, "box": 2}[name[:3]]

    def loss():
        return (render_graph(graph, shots[1], 1, options).color.double() * slopes).sum()

    loss().backward()
    found, expected, step = graph.shared[name].grad[row].clone(), torch.zeros(3), 5e-3
    for axis in range(3):
        for sign in (1, -1):
            with torch.no_grad():
                graph.shared[name][row, axis] += sign * step
                expected[axis] += (sign * loss() / (2 * step)).float()
                graph.shared[name][row, axis] -= sign * step
    assert float(expected.abs().max()) > 1
    torch.testing.assert_close(found, expected, rtol=0.03, atol=0.08 * float(expected.abs().max()))


def apart(count, farthest, size):
    """Coloured Gaussians of three different widths each, one behind the other."""
    rng = np.random.default_rng(7)
    points = np.column_stack([np.linspace(0, 1, count), rng.uniform(-0.6, 0.6, (count, 2))])
    made = gaussians_at_points(
        points * [1.0, size * 4, size * 4] + [farthest - 3.2, 0, 0], rng.random((count, 3)), 0, 0.7
    )
    made.log_scales[:] = np.log(size) + rng.normal(0, 0.4, (count, 3))
    made.quaternions[:] = rng.normal(size=(count, 4))
    return made


def test_refined_poses_by_hand():
    base = np.array([toys.ego_pose(0.3, 0.4), toys.ego_pose(-1.0, 1.0)])
    turns = torch.tensor([[0.1, -0.2, 0.3], [0.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    shifts = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    expected = base.copy()
    expected[0, :3, :3] = base[0, :3, :3] @ Rotation.from_rotvec([0.1, -0.2, 0.3]).as_matrix()
    expected[0, :3, 3] += base[0, :3, :3] @ [1.0, 2.0, 3.0]
    made = refined_poses(base, turns, shifts)
    np.testing.assert_allclose(made, expected, atol=1e-12)
    np.testing.assert_array_equal(made[1], base[1])
    quaternions, rotations, _ = apply_pose_deltas(base, turns, shifts)
    np.testing.assert_allclose(rotations_of(quaternions).detach(), rotations.detach(), atol=1e-12)
    assert torch.autograd.gradcheck(lambda a, b: apply_pose_deltas(base, a, b), (turns, shifts), atol=1e-6)


def test_nodes_are_drawn_at_poses_between_those_given():
    """Changes of two poses meet in the middle as the poses do."""
    graph, shots = a_graph()
    with torch.no_grad():
        graph.shared["box_translations"][:3] = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.1, 0.2, 0.0]])
        graph.shared["box_rotations"][1:3, 2] = 0.05
    drawing = render_graph(graph, shots[1], 1, FitOptions(refine_boxes=True))
    expected = toys.drawn_from(scene_of(graph), shots[1].time_us, shots[1].world_from_ego)
    plain = toys.drawn_from(graph.initial, shots[1].time_us, shots[1].world_from_ego)
    assert np.abs(plain.color - expected.color).max() > 0.05
    np.testing.assert_allclose(drawing.color.detach(), expected.color, atol=5e-3)


def test_exposures_by_hand():
    graph, _ = a_graph()
    np.testing.assert_array_equal(exposures_of(graph).detach(), np.tile(np.eye(3, 4), (3, 1, 1)))
    with torch.no_grad():
        graph.shared["exposures"][0, 0, 0] = 0.3
    maps = exposures_of(graph).detach()
    np.testing.assert_allclose(maps[:, 0, 0], [1.2, 0.9, 0.9], atol=1e-6)
    color = torch.tensor([[[0.5, 0.2, 0.1]]])
    swap = torch.tensor([[0.0, 1.0, 0.0, 0.1], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]])
    torch.testing.assert_close(apply_exposure(color, swap), torch.tensor([[[0.3, 0.5, 0.2]]]))


def hill(places):
    """Rises by 10 % along x; unknown beyond 8 m."""
    return np.where(places[:, 0] > toys.ORIGIN[0] + 8, np.nan, toys.ORIGIN[2] + 0.1 * (places[:, 0] - toys.ORIGIN[0]))


def test_the_ground_takes_what_is_near_it():
    means = np.array([[1, 0, 0.1], [2, 0, 0.5], [3, 0, -0.5], [4, 0, -2.0], [9, 0, 0.9]], np.float32)
    band = ground_band(means, toys.ORIGIN, hill, 0.2, 1.0)
    assert band.rows.tolist() == [0, 2]
    np.testing.assert_allclose(band.points, [[1, 0, 0.1], [3, 0, 0.3]], atol=1e-6)
    np.testing.assert_allclose(band.normals, np.tile([-0.1, 0, 1] / np.sqrt(1.01), (2, 1)), atol=1e-6)
    with pytest.raises(SwerveError, match=r"heights of shape \(1,\) for 5 places"):
        ground_band(means, toys.ORIGIN, lambda places: np.zeros(1), 0.2, 1.0)


def test_the_distance_from_the_ground_is_that_of_samples():
    rng = np.random.default_rng(1)
    means = np.array([[1, 0, 0.2], [3, 0, 0.1]], np.float32)
    band = ground_band(means, toys.ORIGIN, hill, 0.2, 1.0)
    quaternions, log_scales = rng.normal(size=(2, 4)).astype(np.float32), rng.normal(-2, 0.5, (2, 3)).astype(np.float32)
    tensors = [torch.from_numpy(array).requires_grad_() for array in (means, quaternions, log_scales)]
    axes = Rotation.from_quat(quaternions, scalar_first=True).as_matrix()
    samples = rng.normal(size=(200_000, 2, 3)) * np.exp(log_scales)
    places = np.einsum("nij,snj->sni", axes, samples) + means
    off = (places[..., 2] - 0.1 * places[..., 0]) / np.sqrt(1.01)
    expected = np.sqrt((off**2).mean(axis=0)).mean()
    assert float(distance_from_ground(band, *tensors).detach()) == pytest.approx(expected, rel=0.01)
    doubles = [tensor.detach().double().requires_grad_() for tensor in tensors]
    assert torch.autograd.gradcheck(lambda *those: distance_from_ground(band, *those), doubles, atol=1e-5)


def test_terms_by_hand():
    log_scales = torch.log(torch.tensor([[0.1, 0.5, 0.3], [2.0, 0.4, 0.6]]))
    assert float(min_scale_penalty(log_scales)) == pytest.approx(0.25)
    means, logits = torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 9.0, 0.0]]), torch.zeros(3)
    halves = torch.tensor([[1.0, 1.0, 1.0], [2.0, 1.0, 1.0], [torch.inf, torch.inf, torch.inf]])
    assert float(opacity_outside(means, logits, halves)) == pytest.approx(0.5 / 3)


def test_inverse_depths_where_they_are_known():
    alpha, depth = torch.tensor([[0.9, 0.8, 0.3, 0.9]]), torch.tensor([[1.8, 3.2, 1.0, 1.8]])
    drawing = Rendering(torch.zeros(1, 4, 3), depth, alpha, torch.zeros(0, 3), torch.zeros(0, 2), np.zeros(0, np.int64))
    meters = np.array([[4.0, 2.0, 9.0, np.nan]], np.float32)
    assert float(depth_difference(drawing, meters, None)) == pytest.approx((0.25 + 0.25) / 2)
    keep = torch.tensor([[True, False, True, True]])
    assert float(depth_difference(drawing, meters, keep)) == pytest.approx(0.25)


def test_rates_rise_and_fall():
    rate = LearningRate(1.0, 0.01, 0.1)
    np.testing.assert_allclose([rate.at(p) for p in (0.0, 0.05, 0.5, 1.0)], [0.0, 0.5 * 0.01**0.05, 0.1, 0.01])
