"""The whole job on real Argoverse 2 logs."""

import numpy as np

from swerve.data import open_source
from swerve.data.dataset.augment_job import augment
from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.shards import read_samples


def test_both_argoverse_logs_give_all_kinds_without_failure(test_data, tmp_path):
    options = AugmentOptions(scene_interval=3.0, size=(240, 140), extra_outputs=("instance",))
    source = open_source(f"av2:{test_data / 'av2'}")
    report = augment([source], tmp_path / "set", options, workers=2)
    assert report.summary["failures"] == 0
    assert report.summary["logs"] == 2
    assert report.summary["samples_by_kind"]["logged"] == 6
    assert set(report.summary["samples_by_kind"]) == {"logged", "recovery", "cross_agent"}
    for sample in read_samples(tmp_path / "set", "train"):
        numbers, cameras = sample["npz"], sample["json"]["cameras"]
        assert numbers["history_valid"].all()
        assert numbers["target_10hz_valid"].all()
        assert all(np.isfinite(numbers[name]).all() for name in numbers if name != "box_id")
        seen = [set(np.unique(sample[f"{camera['member']}.instance.png"])) for camera in cameras]
        agents = {number for numbers in seen for number in numbers if 0 < number <= 100_000}
        assert agents <= set(numbers["box_instance"].tolist())
        assert any(number > 200_000 for numbers in seen for number in numbers), "some road is seen"
