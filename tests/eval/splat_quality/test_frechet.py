"""The Fréchet distance of features is that of their normal distributions."""

import numpy as np
import pytest
import scipy.linalg

from swerve.eval.splat_quality.frechet import frechet_distance


def test_in_one_dimension_it_is_that_of_means_and_deviations():
    # Deviations over n - 1 are sqrt(2) and 3 sqrt(2); means 1 and 5: 4^2 + (2 sqrt(2))^2.
    one, other = np.array([[0.0], [2.0]]), np.array([[2.0], [8.0]])
    assert frechet_distance(one, other) == pytest.approx(16.0 + 8.0)


def test_equal_features_have_none_and_a_shift_adds_its_square():
    features = np.random.default_rng(0).normal(size=(9, 20))
    assert frechet_distance(features, features) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(features, features + 0.5) == pytest.approx(20 * 0.25)


def test_it_is_the_root_of_the_product_of_covariances():
    generator = np.random.default_rng(1)
    one, other = generator.normal(size=(50, 4)), generator.normal(size=(60, 4)) @ generator.normal(size=(4, 4))
    first, second = np.cov(one.T), np.cov(other.T)
    root = scipy.linalg.sqrtm(first @ second).real
    shift = one.mean(axis=0) - other.mean(axis=0)
    assert frechet_distance(one, other) == pytest.approx(shift @ shift + np.trace(first + second - 2 * root))


def test_a_single_image_says_nothing():
    assert np.isnan(frechet_distance(np.zeros((1, 3)), np.zeros((5, 3))))
