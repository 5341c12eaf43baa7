"""Errors of services, with their gRPC status."""

from typing import Final, Literal

from swerve.scenes.errors import SwerveError

Status = Literal[
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "RESOURCE_EXHAUSTED",
    "UNIMPLEMENTED",
]
# Longest text of a status, characters: it travels in a header, which gRPC limits to 8 kB.
LONGEST_TEXT: Final = 1000
# Longest name in a message, characters: names are kept as long as a session.
LONGEST_NAME: Final = 200


class ServiceError(SwerveError):
    """A request that cannot be answered.

    Attributes:
        status: name of the gRPC status code.
    """

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message[:LONGEST_TEXT])
        self.status: Status = status


def invalid(message: str) -> ServiceError:
    """Return the error of a message whose content is wrong."""
    return ServiceError("INVALID_ARGUMENT", message)


def not_ready(message: str) -> ServiceError:
    """Return the error of a request that comes before what it needs."""
    return ServiceError("FAILED_PRECONDITION", message)
