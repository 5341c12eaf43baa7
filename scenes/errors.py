"""Exceptions for faults of the input; each message states the problem, its place and the remedy."""

from pathlib import Path

from swerve.scenes.printable import printable


class SwerveError(Exception):
    """Base class of errors caused by the input, not by a fault of Swerve.

    A message is of one line, in which characters that a terminal would obey or hide stand as their escapes: names in
    it come from untrusted files.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class WriteError(SwerveError):
    """An output cannot be written."""


class PlannerError(SwerveError):
    """A planner broke where it says what it needs; it fails in this scene, and no other planner does."""


class MissingExtraError(SwerveError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, install: str) -> None:
        super().__init__(f"{package} is not installed. Install it with: {install}")


class LogError(SwerveError):
    """A log cannot be read; the message names the file, the field and the problem."""

    def __init__(self, path: str | Path, field: str, problem: str, hint: str = "") -> None:
        self.path, self.field, self.problem, self._hint = str(path), field, problem, hint
        super().__init__(f"{path}: {field}: {problem}" + (f". {hint}" if hint else ""))

    def __reduce__(self) -> tuple[type["LogError"], tuple[str, str, str, str]]:
        """Pickle what it was made of: workers raise it, too."""
        return type(self), (self.path, self.field, self.problem, self._hint)
