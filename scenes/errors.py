"""The errors a user can mend: each says what was wrong, where, and what to do."""

from pathlib import Path


class SwerveError(Exception):
    """Base of every error that is the input's fault and not a fault of Swerve."""


class MissingExtraError(SwerveError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, install: str) -> None:
        super().__init__(f"{package} is not installed. Install it with: {install}")


class LogError(SwerveError):
    """A log cannot be read: names the file, the field and the problem."""

    def __init__(self, path: str | Path, field: str, problem: str, hint: str = "") -> None:
        self.path, self.field, self.problem = str(path), field, problem
        super().__init__(f"{path}: {field}: {problem}" + (f". {hint}" if hint else ""))
