"""Client of one of AlpaSim's services."""

from typing import Any, Final

from swerve.eval.alpasim.protocol import API_VERSION, LARGEST_MESSAGE, import_grpc, protocol
from swerve.scenes.errors import SwerveError
from swerve.scenes.printable import printable

_CONNECT_SECONDS: Final = 10.0


class Stub:
    """Connection to a service.

    Args:
        service: full name of the service.
        address: HOST:PORT.
        timeout: longest time of a call, seconds.

    Raises:
        MissingExtraError: the extra alpasim is not installed.
    """

    def __init__(self, service: str, address: str, timeout: float) -> None:
        grpc = import_grpc()
        self.address, self.timeout = address, timeout
        options = [
            ("grpc.max_receive_message_length", LARGEST_MESSAGE),
            ("grpc.max_send_message_length", LARGEST_MESSAGE),
        ]
        self._error = grpc.RpcError
        self._channel = grpc.insecure_channel(address, options=options)
        self._calls = {
            name: self._channel.unary_unary(
                f"/{service}/{name}",
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.reply.FromString,
            )
            for name, method in protocol().services[service].items()
        }

    def call(self, name: str, request: Any, connecting: bool = False) -> Any:  # noqa: ANN401
        """Call a method and return its reply.

        Args:
            name: of the method.
            request: its message.
            connecting: whether to wait until there is a server, 10 s at most.

        Raises:
            SwerveError: there is no server, it took too long, or it answered with an error.
        """
        seconds = min(_CONNECT_SECONDS, self.timeout) if connecting else self.timeout
        try:
            return self._calls[name](request, timeout=seconds, wait_for_ready=connecting)
        except self._error as error:
            code = getattr(error, "code", lambda: None)()
            details = printable(str(getattr(error, "details", lambda: "")() or ""))
            reason = f"{getattr(code, 'name', 'UNKNOWN')}: {details}"
            if connecting and getattr(code, "name", "") in ("DEADLINE_EXCEEDED", "UNAVAILABLE"):
                reason = f"no server answers there ({reason})"
            told = "" if details.startswith(f"{name}: ") else f"{name}: "
            raise SwerveError(f"{self.address}: {told}{reason}") from error

    def check_version(self) -> str:
        """Return the server's name, after comparing the version of its messages.

        Raises:
            SwerveError: there is no server, it is no such service, or its messages are of another major version.
        """
        version = self.call("get_version", protocol().Empty(), connecting=True)
        theirs = version.grpc_api_version
        if theirs.major != API_VERSION[0]:
            raise SwerveError(
                f"{self.address}: its messages are of version {theirs.major}.{theirs.minor}.{theirs.patch}, those of "
                f"Swerve of {'.'.join(map(str, API_VERSION))}"
            )
        return f"{version.version_id} {version.git_hash} {theirs.major}.{theirs.minor}.{theirs.patch}"

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()
