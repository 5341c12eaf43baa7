"""A job shared by runs, completed, looked at, damaged and repaired from the command line."""

import json

import pytest

from swerve.data.dataset.shards import dataset_digest
from swerve.scenes import SwerveError
from tests.support.command import invoke

SMALL = ("--scene-interval", 6, "--shard-scenes", 1, "--size", "96x54", "--viewpoints", "logged", "--workers", 1)


@pytest.mark.slow
def test_a_job_is_shared_completed_and_repaired(tmp_path):
    out = tmp_path / "set"
    made = invoke("augment", "town:1", out, *SMALL, "--part", "1/1", "--progress", "json")
    assert made.exit_code == 0, made
    lines = [json.loads(line) for line in made.output.splitlines() if line.startswith("{")]
    assert [lines[0]["phase"], lines[-1]["phase"], lines[-1]["share"]] == ["running", "ended", 1.0]
    assert "Run 1/1 made 3 samples" in made.output
    shown = invoke("status", out)
    assert shown.exit_code == 1
    assert "all 1 runs have ended: complete the job with swerve finish OUT" in shown.output
    finished = invoke("finish", out)
    assert (finished.exit_code, "3 samples (3 logged)" in finished.output) == (0, True), finished
    assert invoke("verify", out).exit_code == 0
    digest, shard = dataset_digest(out), next(out.glob("*/town-000000-00001.tar"))
    shard.write_bytes(shard.read_bytes()[:-512])
    found = invoke("verify", out)
    assert (found.exit_code, "bytes, its record says" in found.output) == (1, True), found
    options = out / "config.yaml"
    options.rename(tmp_path / "config.yaml")
    assert "no config.yaml" in str(invoke("verify", out, "--repair").exception)
    assert shard.is_file(), "nothing is removed that cannot be made again"
    (tmp_path / "config.yaml").rename(options)
    repaired = invoke("verify", out, "--repair")
    assert repaired.exit_code == 0, repaired
    assert dataset_digest(out) == digest
    state = invoke("status", out, "--json")
    assert (state.exit_code, json.loads(state.output)["complete"]) == (0, True)


@pytest.mark.parametrize("command", ["finish", "status", "verify"])
def test_a_folder_that_is_no_job_is_refused(tmp_path, command):
    refused = invoke(command, tmp_path)
    assert isinstance(refused.exception, SwerveError)
    assert str(tmp_path) in str(refused.exception)


def test_options_of_the_job_are_needed_to_complete_it(tmp_path):
    (tmp_path / "job.json").write_text('{"kind": "augment", "logs": [], "options": {}, "versions": {}}')
    refused = invoke("finish", tmp_path)
    assert "no config.yaml" in str(refused.exception)
    (tmp_path / "job.json").write_text('{"kind": "rm -rf", "logs": [], "options": {}, "versions": {}}')
    assert "is no command" in str(invoke("finish", tmp_path).exception)


@pytest.mark.parametrize("part", ["0/4", "5/4", "4", "x/y"])
def test_shares_are_checked(tmp_path, part):
    refused = invoke("augment", "town:1", tmp_path / "set", "--part", part)
    assert "--part" in str(refused.exception)
