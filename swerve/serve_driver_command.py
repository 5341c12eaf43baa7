"""Run `swerve serve driver`."""

import json
import threading
from collections import Counter, deque
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np

from swerve.data.storage.files import make_folder, os_errors_as_swerve_errors
from swerve.eval.alpasim.driver_service import DriverService
from swerve.eval.alpasim.protocol import DRIVER
from swerve.eval.alpasim.server import Server
from swerve.eval.alpasim.session import SessionReport
from swerve.eval.planner_process import ProcessPlanner
from swerve.options.serve_driver import ServeDriver
from swerve.planners.load_planner import with_options
from swerve.planners.open_planner import open_planner
from swerve.scenes.planning import Planner
from swerve.scenes.printable import printable
from swerve.serving import logging_to_terminal, serve_until_stopped

# Durations of calls that the summary looks at, of the last sessions.
_KEPT: Final = 1_000_000


def run(args: ServeDriver) -> int:
    """Serve a planner until Ctrl-C or SIGTERM; print what it did, and return the exit code."""
    logging_to_terminal()
    opened = open_planner(with_options(args.planner, args.planner_option), args.limits, args.options.threads)
    totals = _Totals(args.report)
    service = DriverService(opened.planner, opened.label, args.options, totals.add)
    try:
        # A thread for each session, and some for requests that are refused.
        with Server(DRIVER, service.methods, args.host, args.port, args.options.max_sessions + 8) as server:
            print(
                f"driver {printable(opened.label)} on {args.host}:{server.port}; {_wanted(opened.planner)}", flush=True
            )
            serve_until_stopped(server, service.close_idle)
    finally:
        service.close()
        if isinstance(opened.planner, ProcessPlanner):
            opened.planner.close()
        print(totals.line(), flush=True)
    return 0


class _Totals:
    """Counts of all sessions.

    Args:
        path: file to which each session's report is appended; None for none.

    Raises:
        SwerveError: it cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._counts = path, Counter[str]()
        self._seconds, self._lock = deque[float](maxlen=_KEPT), threading.Lock()
        if path is not None:
            with os_errors_as_swerve_errors(path):
                make_folder(path.parent)
                path.open("a").close()

    def add(self, report: SessionReport) -> None:
        """Count a session that ended."""
        with self._lock:  # sessions end in the threads of their calls
            self._counts.update(sessions=1, drives=report.drives, late=report.late, failed=report.failed)
            self._seconds.extend(report.seconds)
            if self._path is not None:
                with os_errors_as_swerve_errors(self._path), self._path.open("a") as file:
                    file.write(json.dumps(asdict(report)) + "\n")

    def line(self) -> str:
        """Return the counts in words."""
        sessions, drives, late, failed = (self._counts[name] for name in ("sessions", "drives", "late", "failed"))
        line = f"{sessions} sessions: {drives} drive calls, {late} late, {failed} failed"
        seconds = np.array(self._seconds)
        if len(seconds):
            median, high, most = 1e3 * np.quantile(seconds, [0.5, 0.99, 1.0])
            line += f"; {median:.1f} ms in the median, {high:.1f} ms in 99 of 100, {most:.1f} ms at most"
        return line


def _wanted(planner: Planner) -> str:
    """Return in words which cameras a planner declares."""
    cameras = getattr(planner, "cameras", None)
    if cameras is None or callable(cameras):
        return "cameras: all" if cameras is None else "cameras: chosen at the start of each session"
    return printable(f"cameras: {', '.join(map(str, cameras)) or 'none'}")
