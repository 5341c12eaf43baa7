"""What the command line says where a newcomer named the wrong thing."""

import pytest

from swerve.data import open_source
from swerve.eval.benchmark.renderers import default_renderers
from swerve.planners import load_planner
from swerve.planners.trained_file import read_header
from swerve.scenes import SwerveError
from tests.support.command import invoke


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("../elsewhere/my_planner:Mine", "is not the name of a module"),
        ("users_agent:Braking", "An agent of NAVSIM is named navsim:users_agent.Braking"),
        ("navsim:users_agent:Braking", "perhaps users_agent.Braking"),
        ("plain.py:Braking", "neither installed nor in .*; perhaps plain:Braking"),
        ("speed=3", "parameters follow their planner after a comma"),
    ],
)
def test_planners_named_wrongly(spec, said, tmp_path, monkeypatch):
    (tmp_path / "users_agent.py").write_text("from navsim.agents import abstract_agent\n")
    (tmp_path / "plain.py").write_text("class Braking: pass")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SwerveError, match=said):
        load_planner(spec)


@pytest.mark.parametrize(
    ("inside", "name", "said"),
    [
        ("benchmark.json", "", "a benchmark, not a source of logs"),
        ("provenance.json", "", "an evaluation, not a source of logs: swerve view and swerve compare take it"),
        ("manifest.parquet", "", "a training set, not a source of logs"),
        ("manifest.parquet", "train", "a training set, not a source of logs"),
    ],
)
def test_folders_that_are_not_sources(inside, name, said, tmp_path):
    (tmp_path / inside).write_text("{}")
    (tmp_path / "train").mkdir()
    with pytest.raises(SwerveError, match=said):
        open_source(tmp_path / name)


def test_fitted_scenes_are_shown_by_other_commands(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "graph.json").write_text("{}")
    result = invoke("show", tmp_path, tmp_path / "out")
    assert result.exit_code == 2
    assert "swerve quality SOURCE" in str(result.exception)


def test_an_option_cut_short_is_completed():
    result = invoke("drive", "town:1", "out", "--planners", "idm", "--scene", "3")
    assert "no option --scene; perhaps --scene-interval" in str(result.exception)


def test_a_place_given_as_an_option_is_told():
    result = invoke("show", "town:1", "--out", "out")
    assert "no option --out: OUT is given without a name" in str(result.exception)


def test_a_folder_of_splats_that_does_not_exist(tmp_path):
    with pytest.raises(SwerveError, match="no such folder of splat scenes"):
        default_renderers("rap", 0, tmp_path / "absent")


def test_files_of_a_run_are_hinted_at(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    for name in ("checkpoint", "planner"):
        (tmp_path / "run" / f"{name}.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    for spec in ("run", "run/planner.safetensor"):
        with pytest.raises(SwerveError, match=r"perhaps run/planner\.safetensors\. Available"):
            load_planner(spec)


def test_a_run_is_not_its_planner(tmp_path):
    pytest.importorskip("safetensors")
    (tmp_path / "planner.safetensors").write_bytes(b"")
    with pytest.raises(SwerveError, match=r"is a folder, not a file of .*; in it are planner\.safetensors"):
        read_header(tmp_path, "a trained planner")


def test_a_value_of_another_option_is_not_taken_for_out():
    from swerve.cli import parse

    with pytest.raises(SwerveError) as told:
        parse("drive", ["town:1", "out", "--planners", "idm", "--traffic", "idm"])
    assert "invalid choice: 'idm'" in str(told.value)
    assert "OUT" not in str(told.value)
    with pytest.raises(SwerveError, match=r"If it is OUT: options come after it, as in swerve build SOURCE\.\.\. OUT"):
        parse("build", ["town:1", "--views", "raster", "out"])
