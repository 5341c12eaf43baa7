"""Notices are said once, by whichever process of a job comes upon them first."""

import io

from rich.console import Console

from swerve.data.jobs.job_progress import JobProgress
from swerve.data.jobs.schedule import Schedule
from swerve.scenes import notices


def test_a_notice_is_logged_once(monkeypatch, caplog):
    monkeypatch.setattr(notices, "_SAID", set())
    for text in ("one", "two", "one"):
        notices.say_once(text)
    assert caplog.messages == ["note: one", "note: two"]


def test_a_job_shows_notices_of_its_workers_once_and_all_else(monkeypatch):
    monkeypatch.setattr(notices, "_SAID", {"note: said here"})
    shown = io.StringIO()
    progress = JobProgress(Console(file=shown, width=100), Schedule([], {}), "scenes")
    for text in ("note: one\nplain", "note: one", "plain", "note: said here"):
        progress.printed(text)
    assert shown.getvalue().splitlines() == ["note: one", "plain", "plain"]
