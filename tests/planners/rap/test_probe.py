"""Constructed features with known answers; pairs of a set and of a log; the command."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.support.nuscenes_log import nuscenes_log
from tests.support.photographed_source import PhotographedSource, write_photo

torch = pytest.importorskip("torch", reason="torch is an extra")

from swerve.data.dataset import AugmentOptions, augment
from swerve.planners.learning import save_learned
from swerve.planners.rap import RapConfig, RapModel
from swerve.planners.rap.alignment_probe import alignment_metrics, feature_distances, features_of, folds_of
from swerve.planners.rap.image_pairs import fit_of, measure, pairs_of_logs, pairs_of_set
from swerve.scenes import SwerveError
from tests.support.command import invoke

CONFIG = RapConfig.tiny(dim=16, mlp_dim=16, heads=2, proposals=2, image_height=40, image_width=72)
GROUPS = tuple("abcdef")


def drawn(seed, count=6, patches=30, width=8):
    return np.random.default_rng(seed).normal(size=(count, patches, width))


def test_identical_looks_are_no_distance_apart_and_cannot_be_told():
    same = alignment_metrics(drawn(0), drawn(0), GROUPS)
    assert (same.distance, same.mean_shift) == (0.0, 0.0)
    assert same.unpaired_distance == pytest.approx(1.0, abs=0.1)
    assert same.patch_accuracy.mean == same.image_accuracy.mean == 0.5


def test_unrelated_looks_of_one_distribution_are_a_distance_of_one_apart():
    strange = alignment_metrics(drawn(0, 30, 60), drawn(1, 30, 60), [str(row) for row in range(30)])
    assert strange.distance == pytest.approx(1.0, abs=0.02)
    assert strange.unpaired_distance == pytest.approx(1.0, abs=0.02)
    assert strange.mean_shift < 0.01
    assert strange.patch_accuracy.mean == pytest.approx(0.5, abs=4 * max(strange.patch_accuracy.error, 0.01))


def test_shifted_looks_are_always_told():
    moved = alignment_metrics(drawn(0), drawn(0) + 10.0, GROUPS)
    # 8 dimensions of 10 squared, over 2 * 8 variances of about one.
    assert (moved.distance, moved.mean_shift) == pytest.approx((moved.distance, moved.distance))
    assert moved.distance == pytest.approx(50.0, rel=0.1)
    assert moved.patch_accuracy.mean == moved.image_accuracy.mean == 1.0
    assert moved.patch_accuracy.error == 0.0


def test_a_small_shift_is_told_as_often_as_it_can_be():
    """Of two normal distributions two deviations apart the best classifier is right 84.1 % of the time."""
    step = np.zeros(8)
    step[3] = 2.0
    told = alignment_metrics(drawn(0, 20, 200), drawn(1, 20, 200) + step, [str(row) for row in range(20)])
    assert told.patch_accuracy.mean == pytest.approx(0.841, abs=0.015)
    # Means over 200 patches are 28 deviations apart.
    assert told.image_accuracy.mean == 1.0


def test_nothing_depends_on_the_scale_of_features():
    mixed = drawn(0) @ drawn(2, 1, 8)[0]
    one = alignment_metrics(mixed, mixed + 0.5 * drawn(1), GROUPS)
    small = alignment_metrics(1e-4 * mixed, 1e-4 * (mixed + 0.5 * drawn(1)), GROUPS)
    assert (small.distance, small.mean_shift, small.unpaired_distance) == pytest.approx(
        (one.distance, one.mean_shift, one.unpaired_distance)
    )
    assert small.patch_accuracy.mean == pytest.approx(one.patch_accuracy.mean, abs=1e-9)
    # Nor on that of single dimensions, for the classifiers.
    uneven = np.logspace(-3, 3, 8)
    assert alignment_metrics(
        mixed * uneven, (mixed + 0.5 * drawn(1)) * uneven, GROUPS
    ).patch_accuracy.mean == pytest.approx(one.patch_accuracy.mean, abs=1e-9)


def test_a_classifier_is_not_tried_on_what_it_was_fitted_to():
    """Each image is shifted its own way: what tells the others' looks apart says nothing of it."""
    away = 20 * np.eye(6)[:, None]
    told = alignment_metrics(drawn(0, width=6), drawn(0, width=6) + away, GROUPS)
    assert told.patch_accuracy.mean < 0.75
    # With a second view of each image in another group, it was seen.
    twice = [np.concatenate([one, one]) for one in (drawn(0, width=6), drawn(0, width=6) + away)]
    assert alignment_metrics(*twice, ["first"] * 6 + ["second"] * 6).patch_accuracy.mean > 0.99


def test_distances_by_hand_and_by_loops():
    real, raster = drawn(3, 4, 5, 3), drawn(4, 4, 5, 3) + 1
    spread = real.reshape(-1, 3).var(axis=0).sum() + raster.reshape(-1, 3).var(axis=0).sum()
    others = [np.sum((real[i, p] - raster[j, p]) ** 2) for i in range(4) for j in range(4) if i != j for p in range(5)]
    own = [np.sum((real[i, p] - raster[i, p]) ** 2) for i in range(4) for p in range(5)]
    shift = np.sum((real.reshape(-1, 3).mean(axis=0) - raster.reshape(-1, 3).mean(axis=0)) ** 2)
    wanted = (np.mean(own) / spread, shift / spread, np.mean(others) / spread)
    assert feature_distances(real, raster) == pytest.approx(wanted)
    line = np.array([[[0.0], [2.0]]])
    distance, shift, other = feature_distances(line, line + 1)
    assert (distance, shift) == (0.5, 0.5)
    assert np.isnan(other)


def test_groups_stay_whole_and_folds_are_even():
    groups = ["big"] * 6 + ["a", "b", "c"] * 2 + ["d"]
    folds = folds_of(groups, most=3)
    assert all(len({folds[row] for row, one in enumerate(groups) if one == name}) == 1 for name in groups)
    assert sorted(np.bincount(folds)) == [3, 4, 6]
    assert len(set(folds_of([str(row) for row in range(40)]))) == 10
    with pytest.raises(SwerveError, match="all 3 images are of front: nothing is left"):
        folds_of(["front"] * 3)


def test_features_that_say_nothing_are_refused():
    with pytest.raises(SwerveError, match="the same in every patch"):
        alignment_metrics(np.ones((6, 4, 3)), np.full((6, 4, 3), 2.0), GROUPS)
    with pytest.raises(SwerveError, match="not finite"):
        alignment_metrics(drawn(0), np.full((6, 30, 8), np.nan), GROUPS)


def test_features_are_the_necks_content():
    torch.manual_seed(0)
    model = RapModel(CONFIG)
    images = np.random.default_rng(0).integers(0, 256, (20, 40, 72, 3), dtype=np.uint8)
    features = features_of(model, images)
    assert features.shape == (20, 5 * 9, 16)
    assert model.training
    one = torch.as_tensor(images[17]).permute(2, 0, 1)[None]
    content = model.neck.content(model.backbone(one))[0].detach().numpy()
    # Patches stand row by row.
    np.testing.assert_allclose(features[17, 2 * 9 + 4], content[:, 2, 4], atol=1e-5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two logs with photographs of one camera, as a set."""
    place = tmp_path_factory.mktemp("probe")
    write_photo(place)
    source = PhotographedSource(("train-0-photos", "train-1-photos"), str(place))
    augment([source], place / "set", AugmentOptions(scene_interval=1.0, viewpoints=("logged",)), workers=1)
    return place


def test_pairs_of_a_set_are_its_photographs_and_rasters(folder):
    pairs = pairs_of_set(folder / "set", CONFIG, "train", 100)
    assert set(pairs.logs) == {"train-0-photos", "train-1-photos"} == set(pairs.groups)
    assert set(pairs.cameras) == {"front"}
    source = PhotographedSource(("train-0-photos",), str(folder))
    log = source.load("train-0-photos")
    photo = next(one for one in log.photos)
    wanted = fit_of(CONFIG).decode(photo.read(), next(one for one in log.cameras if one.name == "front"))
    np.testing.assert_array_equal(pairs.photos[0], wanted)
    assert (pairs.rasters != pairs.photos).any(axis=(1, 2, 3)).all()
    assert len(pairs_of_set(folder / "set", CONFIG, "train", 3).logs) == 3
    with pytest.raises(SwerveError, match="has none of the selected cameras"):
        pairs_of_set(folder / "set", CONFIG, "train", 3, ("back",))


def test_pairs_of_a_log_show_the_same_window(test_data):
    """On nuScenes' photographs: every camera is its own group, and images are the planner's size."""
    log = nuscenes_log(test_data / "nuscenes")
    pairs = pairs_of_logs([log], CONFIG, 5)
    assert pairs.photos.shape == pairs.rasters.shape == (6, 40, 72, 3)
    assert len(set(pairs.groups)) == 6
    assert all(raster.any() for raster in pairs.rasters)
    assert pairs_of_logs([log], CONFIG, 5, ("CAM_BACK",)).cameras == ("CAM_BACK",)
    model = RapModel(CONFIG)
    assert 0.5 < measure(model, pairs).patch_accuracy.mean <= 1.0
    with pytest.raises(SwerveError, match="no photo of nose in scene-0061; there are photos of CAM_BACK, "):
        pairs_of_logs([log], CONFIG, 5, ("nose",))
    with pytest.raises(SwerveError, match="probe: no photos in scene-0061"):
        pairs_of_logs([replace(log, photos=())], CONFIG, 5)


def test_the_command_measures_before_and_after(folder):
    torch.manual_seed(7)
    save_learned(RapModel(CONFIG), {"seed": 7, "steps": 0}, folder / "same.safetensors")
    torch.manual_seed(8)
    save_learned(RapModel(CONFIG), {"seed": 7, "steps": 9}, folder / "moved.safetensors")
    given = [f"{folder}/same.safetensors", f"later={folder}/moved.safetensors", f"{folder}/probe.json"]
    result = invoke("probe", *given, "--on", f"{folder}/set", "--split", "train")
    assert result.exit_code == 0, result.output
    first, same, later = json.loads((folder / "probe.json").read_text())["rows"]
    # One of the planners is its own first weights; both began alike.
    assert (first["planner"], same["planner"], later["planner"]) == ("same, untrained", "same", "later")
    assert {name: first[name] for name in first if name != "planner"} == {
        name: same[name] for name in same if name != "planner"
    }
    assert later["distance"] != same["distance"]
    assert f"{later['distance']:.3f}" in result.output
    assert (later["logs"], later["images"] > 4) == (2, True)


def test_what_cannot_be_probed_is_named(folder):
    save_learned(RapModel(CONFIG), {}, folder / "odd.safetensors")

    def said(*arguments):
        result = invoke("probe", f"{folder}/odd.safetensors", f"{folder}/odd.json", *arguments)
        return str(result.exception)

    assert "does not state its seed: give --no-untrained" in said("--on", folder / "set")
    assert "no samples of split 'test'" in said("--on", folder / "set", "--no-untrained")
    assert "nowhere: no such file or folder" in said("--on", "nowhere", "--no-untrained")
