"""Messages and methods of AlpaSim's services, compiled from the .proto files beside this module when first used.

Compiling takes about 20 ms and leaves no file. The messages live in a pool of their own: generated modules would
register the same names as NVIDIA's package alpasim_grpc, so that a process could not import both, and would depend on
the version of protobuf.
"""

import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from swerve.scenes.errors import MissingExtraError, SwerveError

INSTALL: Final = "pip install 'PATH[alpasim]', where PATH is Swerve's folder"
# Of the .proto files, as AlpaSim counts.
API_VERSION: Final = (0, 54, 0)
DRIVER: Final = "egodriver.EgodriverService"
RENDERER: Final = "nre.grpc.protos.sensorsim.SensorsimService"
# Largest message, bytes: AlpaSim's own limit for batches of images.
LARGEST_MESSAGE: Final = 64 << 20
_PROTOS: Final = Path(__file__).parent / "protos"
_FILES: Final = ("common.proto", "sensorsim.proto", "egodriver.proto")
_COMPILING: Final = threading.Lock()


@dataclass(frozen=True)
class Method:
    """Classes of the request and the reply of a method."""

    request: Any
    reply: Any


@dataclass(frozen=True)
class Protocol:
    """Message classes by full name without their file's package, and methods by service and name."""

    messages: Mapping[str, Any]
    services: Mapping[str, Mapping[str, Method]]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 a message class
        """Return a message class: `protocol().DriveRequest`."""
        try:
            return self.messages[name]
        except KeyError:
            raise AttributeError(f"AlpaSim has no message {name!r}") from None


def protocol() -> Protocol:
    """Return AlpaSim's messages and methods.

    Raises:
        MissingExtraError: the extra alpasim is not installed.
    """
    with _COMPILING:
        return _protocol()


def import_grpc() -> Any:  # noqa: ANN401
    """Import grpc.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import grpc
    except ImportError as error:
        raise MissingExtraError("grpcio", INSTALL) from error
    return grpc


def version_message(name: str, git_hash: str = "") -> Any:  # noqa: ANN401
    """Return the reply to get_version: a name and the version of the messages."""
    major, minor, patch = API_VERSION
    version = protocol().VersionId(version_id=name, git_hash=git_hash)
    version.grpc_api_version.major, version.grpc_api_version.minor, version.grpc_api_version.patch = major, minor, patch
    return version


@lru_cache(maxsize=1)
def _protocol() -> Protocol:
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise MissingExtraError("protobuf", INSTALL) from error
    files = descriptor_pb2.FileDescriptorSet.FromString(_compiled())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    messages, services = dict[str, Any](), dict[str, Mapping[str, Method]]()
    for file in files.file:
        described = pool.FindFileByName(file.name)
        for name, descriptor in described.message_types_by_name.items():
            messages[name] = message_factory.GetMessageClass(descriptor)
        for service in described.services_by_name.values():
            services[service.full_name] = {
                method.name: Method(
                    message_factory.GetMessageClass(method.input_type),
                    message_factory.GetMessageClass(method.output_type),
                )
                for method in service.methods
            }
    return Protocol(messages, services)


def _compiled() -> bytes:
    """Return the descriptors of the .proto files."""
    try:
        from grpc_tools import protoc
    except ImportError as error:
        raise MissingExtraError("grpcio-tools", INSTALL) from error
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "descriptors"
        if protoc.main(["protoc", f"-I{_PROTOS}", f"--descriptor_set_out={out}", *_FILES]) != 0:
            raise SwerveError(f"{_PROTOS}: the .proto files cannot be compiled; install Swerve again")
        return out.read_bytes()
