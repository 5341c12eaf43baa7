"""Means over scenario clusters, and the JSON files beside the data."""

import json

import numpy as np
import pytest

from swerve.eval.rater_feedback.cluster_scores import (
    CLUSTER_FILE,
    cluster_means,
    clusters_of,
    find_side_file,
    read_clusters,
)
from swerve.scenes import SwerveError


def test_mean_of_the_clusters_means():
    values = np.array([[10.0, 1.0], [0.0, np.nan], [5.0, np.nan], [4.0, 3.0]])
    by_cluster, mean = cluster_means(values, ["a", "a", "b", "a"])
    assert list(by_cluster) == ["a", "b"]
    np.testing.assert_allclose(by_cluster["a"], [14 / 3, 2.0])
    np.testing.assert_array_equal(by_cluster["b"], [5.0, np.nan])
    np.testing.assert_allclose(mean, [(14 / 3 + 5) / 2, 2.0])


def test_clusters_are_names_or_objects(tmp_path):
    file = tmp_path / "clusters.json"
    file.write_text(json.dumps({"a": "Cyclists", "b": {"scenario_cluster": "FOD"}}))
    clusters = read_clusters(file)
    assert clusters_of(["b", "a", "b"], clusters, file) == ["FOD", "Cyclists", "FOD"]
    with pytest.raises(SwerveError, match="no cluster for 1 rated sequences, such as c"):
        clusters_of(["a", "c", "c"], clusters, file)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "must be a JSON object"),
        ('{"a": 1}', "a: has no cluster"),
        ('{"a": {"cluster": "x"}}', "a: has no cluster"),
        ('{"a": ""}', "a: has no cluster"),
    ],
)
def test_faulty_files_are_refused(tmp_path, content, match):
    file = tmp_path / "clusters.json"
    file.write_text(content)
    with pytest.raises(SwerveError, match=match):
        read_clusters(file)
    with pytest.raises(SwerveError, match="cannot be read"):
        read_clusters(tmp_path / "missing.json")


def test_side_file_is_looked_for_above_the_shards(tmp_path):
    (tmp_path / "data" / "val").mkdir(parents=True)
    shard = tmp_path / "data" / "val" / "val.tfrecord"
    shard.touch()
    assert find_side_file(shard, CLUSTER_FILE) is None
    (tmp_path / "data" / CLUSTER_FILE).touch()
    assert find_side_file(shard, CLUSTER_FILE) == find_side_file(shard.parent, CLUSTER_FILE)
    assert find_side_file(shard, CLUSTER_FILE).parent == tmp_path / "data"
