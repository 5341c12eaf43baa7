"""Notes of the scenes that a planner is asked for, in a folder that the environment names."""

import os
from pathlib import Path

NOTES = "SWERVE_TEST_NOTES"


def note_plan(token, failing):
    """Note a scene; fail in one of them until the folder has the file `mended`."""
    folder = Path(os.environ[NOTES])
    with (folder / "planned").open("a") as notes:
        notes.write(f"{token}\n")
    if token == failing and not (folder / "mended").exists():
        raise ValueError("no idea")


def noted(folder):
    """Return the scenes that were noted, in order of their names."""
    notes = folder / "planned"
    return sorted(notes.read_text().split()) if notes.exists() else []


def forget_plans(folder):
    """Remove the notes."""
    (folder / "planned").unlink(missing_ok=True)
