"""Completion scripts for shells."""

import os
import shutil
import subprocess

import pytest

from swerve.cli import run
from swerve.completion import SHELLS
from swerve.scenes import SwerveError


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_knows_commands_and_options(shell, capsys):
    assert run(["--print-completion", shell]) == 0
    script = capsys.readouterr().out
    for text in ("augment", "evaluate", "train", "recovery.lateral", "weighting"):
        assert text in script, text
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_completes(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert run(["--install-completion", "bash"]) == 0
    path = tmp_path / "bash-completion" / "completions" / "swerve"
    assert f"wrote {path}" in capsys.readouterr().out
    code = f'source {path}; COMP_WORDS=(swerve eval); COMP_CWORD=1; _tyro_swerve; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, env={**os.environ})
    assert "evaluate" in done.stdout


def test_mistakes_are_named():
    with pytest.raises(SwerveError, match="shell 'tcsh' is not known, choose among bash, zsh, fish"):
        run(["--print-completion", "tcsh"])
    with pytest.raises(SwerveError, match="give the shell"):
        run(["--install-completion"])
