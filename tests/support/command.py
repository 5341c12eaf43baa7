"""Run a command of the command line within the test's process."""

from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO

from swerve.cli import run


@dataclass(frozen=True)
class Result:
    """Outcome of a command.

    Attributes:
        exit_code: of the process; 2 where the command raised a SwerveError.
        output: of stdout and stderr.
        exception: what it raised.
    """

    exit_code: int
    output: str
    exception: Exception | None = None


def invoke(*arguments: object) -> Result:
    """Run a command as the shell would, but let errors be looked at."""
    written = StringIO()
    with redirect_stdout(written), redirect_stderr(written):
        try:
            code = run([str(one) for one in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        except Exception as error:
            return Result(2, written.getvalue(), error)
    return Result(code, written.getvalue())
