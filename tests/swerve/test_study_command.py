import pytest

from swerve.eval.study.population import population
from swerve.scenes import SwerveError
from swerve.study_command import members
from tests.support.command import invoke


def test_planners_are_chosen_evenly():
    everybody = members("all")
    assert [one.spec for one in everybody] == [one.spec for one in population()]
    assert len(everybody) >= 80
    few = members(20)
    assert len(few) == 20
    assert {one.family for one in few} == {one.family for one in everybody}
    for wrong in (2, 1000, -3):
        with pytest.raises(SwerveError, match="population: "):
            members(wrong)


def test_it_needs_a_benchmark(tmp_path):
    result = invoke("study", tmp_path / "none", tmp_path / "out")
    assert "no such folder. A benchmark is an output folder of swerve build" in str(result.exception)
    assert not (tmp_path / "out").exists()
