import json

from swerve.scenes import SwerveError
from tests.support.command import invoke
from tests.support.reported import HOSTILE, results
from tests.support.written_evaluation import only, write_evaluation


def test_a_comparison_is_printed_and_written(tmp_path):
    one = write_evaluation(tmp_path / "one", only(results(), "slow", HOSTILE))
    two = write_evaluation(tmp_path / "two", only(results(), "drifts right"))
    result = invoke("compare", one, two, tmp_path / "out")
    assert result.exit_code == 0, result.exception
    assert "Only 2 scene groups of 1 log" in result.output
    assert HOSTILE in result.output
    assert "--benchmark FOLDER shows its scenes" in (tmp_path / "out" / "index.html").read_text()
    summary = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert set(summary["planners"]) == {"slow", "drifts right", HOSTILE}
    assert len(summary["differences"]) == 3
    lines = (tmp_path / "out" / "scenes.csv").read_text().splitlines()
    assert len(lines) == 1 + len(results().groups)


def test_mistakes_are_told(tmp_path):
    one = write_evaluation(tmp_path / "one", only(results(), "slow", "drifts right"))
    result = invoke("compare", one, tmp_path / "out", "--benchmark", tmp_path)
    assert isinstance(result.exception, SwerveError)
    assert "no benchmark.json" in str(result.exception)
    assert "one of EVALUATION... OUT is missing" in str(invoke("compare", tmp_path / "out").exception)
    assert "scenes: 99 must lie in 0..50" in str(invoke("compare", one, tmp_path / "out", "--scenes", 99).exception)
