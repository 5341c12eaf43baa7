import json

import numpy as np
import pytest

from swerve.eval.scoring.trajectory_file import read_trajectories
from swerve.scenes import SwerveError

POSES = [[0.5 * step, 0.0, 0.0] for step in range(1, 9)]


def written(tmp_path, text):
    path = tmp_path / "plans.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def test_poses_by_token_or_by_name(tmp_path):
    np.testing.assert_array_equal(read_trajectories(written(tmp_path, {"a": POSES}))["a"], POSES)
    named = {"a": [{"name": "one", "poses": POSES}, {"name": "two", "poses": POSES[::-1]}]}
    np.testing.assert_array_equal(read_trajectories(written(tmp_path, named), "two")["a"], POSES[::-1])
    with pytest.raises(SwerveError, match="scene a has 2 trajectories to choose from"):
        read_trajectories(written(tmp_path, named))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([POSES], "document: is a list of 1, not an object"),
        ({"a": 5}, "a: is 5, not a list of numbers"),
        ({"a": None}, "a: is None"),
        ({"a": []}, "a: has 0 rows, not 8 or more|a: is not n x 3"),
        ({"a": POSES[:7]}, "a: has 7 rows, not 8 or more"),
        ({"a": [[1.0, 2.0]] * 8}, "a: is not n x 3 numbers"),
        ({"a": [[True, 0, 0]] * 8}, "a: is not n x 3 numbers"),
        ({"a": [["nan", 0, 0]] * 8}, "a: is not n x 3 numbers"),
        ({"a": [[None, 0, 0]] * 8}, "a: is not n x 3 numbers"),
        ({"a": [[1e300, 0, 0]] * 8}, "a: has a number that is not finite or reaches 10000"),
        ({"a": [[10_000, 0, 0]] * 8}, "reaches 10000"),
        ({"a": [[0, 0, -1e5]] * 8}, "reaches 10000"),
        ({"a": [[10**400, 0, 0]] * 8}, "a: is not n x 3 numbers"),
        ({"a": [{"name": "one"}]}, r"a\[0\].poses: is missing"),
        ({"a": [{"name": 5, "poses": POSES}]}, r"a\[0\].name: is 5, not a text"),
        ({"a": [{"name": "x", "poses": POSES}, 5]}, r"a\[1\]: is 5, not an object"),
        ({"a\x1b": POSES}, "is not printable"),
        ({"a": [[0, 0, 0]] * 1001}, "a: has 1001 poses, more than 1000"),
        ('{"a": [[NaN, 0, 0]]}', "NaN is not a number"),
        ('{"a": [[1e999, 0, 0]' + ",[0,0,0]" * 7 + "]}", "not finite"),
        ("[" * 100_000, "nested more than 64 levels deep"),
        ('{"a": ' + "1" * 5000 + "}", "is not JSON"),
        ("", "is not JSON"),
    ],
)
def test_what_no_planner_writes_ends_in_one_error_that_names_file_and_field(tmp_path, content, problem):
    with pytest.raises(SwerveError, match=rf"plans\.json: .*({problem})"):
        read_trajectories(written(tmp_path, content))
