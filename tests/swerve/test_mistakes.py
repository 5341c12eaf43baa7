"""Plausible mistakes on the command line end in one line that helps, with the right exit code."""

import sys

import pytest

from experiments.mistakes import MISTAKES, prepare, try_mistake


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the files that the mistakes name."""
    pytest.importorskip("torch", reason="torch is an extra")
    made = tmp_path_factory.mktemp("mistakes")
    prepare(made)
    return made


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.command[:60])
def test_a_mistake_ends_in_one_line_that_helps(mistake, folder, monkeypatch):
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    outcome = try_mistake(mistake, folder)
    assert not outcome.fault, f"{outcome.fault}: {outcome.error}"


def test_there_are_mistakes_in_every_command():
    assert len(MISTAKES) >= 40
    commands = {mistake.command.split()[0] for mistake in MISTAKES}
    assert {"augment", "build", "evaluate", "score", "drive", "show", "fit", "train", "probe", "proposals"} <= commands
