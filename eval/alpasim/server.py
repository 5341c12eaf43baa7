"""gRPC server of one of AlpaSim's services: decodes requests, and turns errors into statuses."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

from swerve.eval.alpasim.protocol import LARGEST_MESSAGE, import_grpc, protocol
from swerve.eval.alpasim.service_error import LONGEST_TEXT, ServiceError
from swerve.scenes.errors import SwerveError
from swerve.scenes.printable import printable

LOGGER = logging.getLogger("swerve.alpasim")

Answer = Callable[[Any], Any]


class Server:
    """A running server; a context that ends it.

    Args:
        service: full name of the service.
        methods: from request to reply, by name; those left out are answered UNIMPLEMENTED.
        host: address to listen on.
        port: port; 0 for any that is free.
        threads: most calls that are answered at once; others wait.

    Raises:
        MissingExtraError: the extra alpasim is not installed.
        SwerveError: the port is taken, or there is no such address.
    """

    def __init__(self, service: str, methods: Mapping[str, Answer], host: str, port: int, threads: int) -> None:
        grpc = import_grpc()
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(_handler(name, protocol().services[service][name].request, call))
            for name, call in methods.items()
        }
        self._pool = ThreadPoolExecutor(threads, "rpc")
        options = [
            ("grpc.max_receive_message_length", LARGEST_MESSAGE),
            ("grpc.max_send_message_length", LARGEST_MESSAGE),
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.server(self._pool, options=options)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self.port = self._listen(host, port)
        self._server.start()

    def wait(self, seconds: float) -> bool:
        """Wait for the server's end so long; return whether it has ended."""
        return not self._server.wait_for_termination(seconds)

    def stop(self, grace: float = 1.0) -> None:
        """End the server: calls that are being answered have some seconds of grace."""
        self._server.stop(grace).wait()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listen(self, host: str, port: int) -> int:
        address = f"{host}:{port}"
        try:
            bound = int(self._server.add_insecure_port(address))
        except RuntimeError as error:
            raise SwerveError(f"cannot listen on {address}: it is taken, or there is no such address") from error
        if not bound:
            raise SwerveError(f"cannot listen on {address}: it is taken, or there is no such address")
        return bound


def _handler(name: str, request_class: Any, call: Answer) -> Callable[[bytes, Any], bytes]:  # noqa: ANN401
    """Return the handler of a method: from bytes to bytes."""
    from google.protobuf.message import DecodeError

    grpc = import_grpc()

    def handle(content: bytes, context: Any) -> bytes:  # noqa: ANN401
        try:
            reply: bytes = call(request_class.FromString(content)).SerializeToString()
            return reply
        except DecodeError:
            status, text = "INVALID_ARGUMENT", f"{name}: this is no {request_class.DESCRIPTOR.name}"
        except ServiceError as error:
            status, text = error.status, f"{name}: {error}"
        except SwerveError as error:
            status, text = "FAILED_PRECONDITION", f"{name}: {error}"
        except Exception as error:  # a fault of Swerve: told to both sides, and the server goes on
            LOGGER.exception("%s", name)
            status, text = "INTERNAL", f"{name}: {type(error).__name__}: {error}"
        context.abort(getattr(grpc.StatusCode, status), printable(text)[:LONGEST_TEXT])
        raise AssertionError("abort raises")

    return handle
