"""Image metrics: hand-computed values, and agreement with scikit-image and torch."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.eval.splat_quality.image_metrics import align_colors, compare_images, mask_images, psnr, ssim
from swerve.eval.splat_quality.lpips_metric import Lpips
from swerve.scenes import MissingExtraError, SwerveError


def noisy(seed=0, height=40, width=57, noise=0.1):
    """A smooth image, and the same with noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 20
    truth = 0.5 + 0.3 * np.stack([np.sin(rows), np.cos(columns), np.sin(rows + columns)], axis=-1)
    return np.clip(truth + noise * random.normal(size=truth.shape), 0, 1), truth


def test_psnr_by_hand():
    assert psnr(np.full((4, 4, 3), 0.6), np.full((4, 4, 3), 0.5)) == pytest.approx(20.0)
    half = np.full((4, 4, 3), 0.5)
    half[:2] += 0.1  # Half of the pixels are off: 3 dB more.
    assert psnr(half, np.full((4, 4, 3), 0.5)) == pytest.approx(20.0 + 10 * np.log10(2))
    assert psnr(half, half) == 100.0


def test_ssim_of_flat_images_by_hand():
    a, b = np.full((12, 15, 3), 0.2), np.full((12, 15, 3), 0.6)
    assert ssim(a, b) == pytest.approx((2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4))
    assert ssim(a, a) == pytest.approx(1.0)


def test_ignored_pixels_do_not_count():
    """With the lower rows masked an image scores as its upper part alone."""
    image, truth = ((255 * part).astype(np.uint8) for part in noisy())
    ignored = np.zeros(truth.shape[:2], bool)
    ignored[25:] = True
    spoiled = image.copy()
    spoiled[25:] = 255
    found, above = compare_images(spoiled, truth, ignored), compare_images(image[:25], truth[:25])
    assert vars(found) == pytest.approx(vars(above))
    for one, whole in zip(mask_images(spoiled, truth, ignored), (image, truth), strict=True):
        np.testing.assert_array_equal(one[:25], whole[:25])
        assert not one[25:].any()


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.4])
def test_ssim_is_that_of_scikit_image(noise):
    metrics = pytest.importorskip("skimage.metrics")
    image, truth = noisy(noise=noise)
    expected = metrics.structural_similarity(
        image,
        truth,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=2,
    )
    assert ssim(image, truth) == pytest.approx(expected, abs=1e-12)
    assert psnr(image, truth) == pytest.approx(metrics.peak_signal_noise_ratio(truth, image, data_range=1.0))


def test_ssim_is_that_of_the_fit():
    torch = pytest.importorskip("torch")
    from swerve.data.splats.optimization import ssim as fit_ssim

    image, truth = noisy()
    tensors = torch.from_numpy(image), torch.from_numpy(truth)
    assert ssim(image, truth) == pytest.approx(fit_ssim.ssim(*tensors).item(), abs=1e-12)
    assert psnr(image, truth) == pytest.approx(fit_ssim.psnr(*tensors), abs=1e-9)


@given(st.integers(0, 1000))
def test_aligning_undoes_a_change_of_colours_and_never_harms(seed):
    random = np.random.default_rng(seed)
    image, truth = noisy(seed, 12, 13)
    mixed = 0.5 + (truth - 0.5) @ (np.eye(3) + 0.1 * random.normal(size=(3, 3))) + 0.1 * random.normal(size=3)
    assert psnr(align_colors(mixed, truth), truth) > 99
    assert psnr(align_colors(image, truth), truth) >= psnr(image, truth) - 1e-9


def test_likeness_takes_images_of_bytes():
    image, truth = (np.round(255 * x).astype(np.uint8) for x in noisy())
    found = compare_images(image, truth)
    assert found.psnr == pytest.approx(psnr(image / 255, truth / 255))
    assert found.ssim == pytest.approx(ssim(image / 255, truth / 255))
    assert found.psnr_aligned >= found.psnr
    with pytest.raises(SwerveError, match=r"57x10 are too small.*11 pixels"):
        compare_images(image[:10], truth[:10])


def stand_in(error=None):
    """A library that takes the mean absolute difference for the distance, of images of -1 to 1."""
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):
        def __init__(self, net, verbose):
            super().__init__()
            assert (net, verbose) == ("alex", False)
            if error:
                raise error

        def forward(self, image, truth):
            assert image.shape == (1, 3, 40, 57)
            assert image.dtype == torch.float32
            assert -1 <= image.min() < -0.1 < 0.1 < image.max() <= 1
            return (image - truth).abs().mean().view(1, 1, 1, 1)

    return SimpleNamespace(LPIPS=Network)


def test_lpips_asks_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", stand_in())
    image, truth = (np.round(255 * x).astype(np.uint8) for x in noisy())
    expected = np.abs(image.astype(float) - truth).mean() / 127.5
    assert Lpips()(image, truth) == pytest.approx(expected, rel=1e-5)


def test_lpips_that_cannot_be_had_says_why(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(MissingExtraError, match=r"lpips is not installed.*PATH\[lpips\]"):
        Lpips()
    for error in (ConnectionError("no network"), RuntimeError("invalid hash"), EOFError("Ran out of input")):
        monkeypatch.setitem(sys.modules, "lpips", stand_in(error))
        with pytest.raises(SwerveError, match=rf"weights of AlexNet cannot be downloaded or read .{error}"):
            Lpips()


def test_a_torchvision_of_another_torch_is_told(monkeypatch, tmp_path):
    """Its import raises a RuntimeError."""
    pytest.importorskip("torch")
    (tmp_path / "lpips.py").write_text('raise RuntimeError("operator torchvision::nms does not exist")')
    monkeypatch.delitem(sys.modules, "lpips", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SwerveError, match=r"torchvision does not fit torch \(operator .*Install the torchvision of"):
        Lpips()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_library_itself(monkeypatch):
    """Random weights, which need no download: tests the calls of the library, not its values."""
    lpips = pytest.importorskip("lpips", reason="lpips is an extra")
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    drawn = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    monkeypatch.setattr(lpips, "LPIPS", lambda net, verbose: drawn)
    image, truth = (np.round(255 * x).astype(np.uint8) for x in noisy(height=80, width=112))
    slight = noisy(height=80, width=112, noise=0.02)[0]
    lpips = Lpips()
    assert lpips(truth, truth) == 0
    assert 0 < lpips(np.round(255 * slight).astype(np.uint8), truth) < lpips(image, truth)
    # The library's own conversion of images of bytes.
    expected = drawn(lpips.im2tensor(image), lpips.im2tensor(truth))
    assert lpips(image, truth) == pytest.approx(float(expected.detach()), rel=1e-4)
