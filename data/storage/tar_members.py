"""Members of tar files, found from their headers: no length in a header is believed before the file is that long."""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from swerve.data.storage.stored_folder import open_file
from swerve.scenes import SwerveError
from swerve.scenes.printable import name_problem

_BLOCK = tarfile.BLOCKSIZE
_LONGEST_NAME = 4096


@dataclass(frozen=True)
class TarMember:
    """Member of a tar file.

    Attributes:
        start: offset of its first header.
        name: name in the archive.
        first: offset of its content.
        size: bytes of its content.
    """

    start: int
    name: str
    first: int
    size: int

    @property
    def key(self) -> str:
        """The name up to the first dot, which the members of a sample share."""
        return self.name.partition(".")[0]


def open_tar(path: Path, hint: str) -> BinaryIO:
    """Open a tar file for `tar_members`.

    Raises:
        SwerveError: it cannot be opened; the message ends in the hint.
    """
    try:
        return open_file(path)
    except OSError as error:
        raise SwerveError(f"{path}: cannot be read ({error.strerror}). {hint}") from error


def tar_members(file: BinaryIO, path: Path, start: int, hint: str) -> Iterator[TarMember]:
    """Yield the members from a header on; GNU headers for names of more than 100 bytes are joined.

    Args:
        file: opened by `open_tar`.
        path: of the file, for messages.
        start: offset of the first header.
        hint: remedy, for messages.

    Raises:
        SwerveError: a header is damaged, a member is not a plain file or ends after the file, or there is no end mark.
    """
    at, long_name, size = start, "", os.fstat(file.fileno()).st_size
    while (header := _header(file, path, at, size, hint)) is not None:
        first = at + _BLOCK
        if header.type == tarfile.GNUTYPE_LONGNAME:
            long_name = _long_name(file, path, first, header.size, hint)
        elif header.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
            name = long_name or header.name
            if name_problem(name[:400]):
                raise damaged(path, f"the member at byte {at} has no printable name", hint)
            yield TarMember(start, name, first, header.size)
            long_name = ""
        else:
            raise damaged(path, f"the member at byte {at} is not a plain file", hint)
        at = first + -(-header.size // _BLOCK) * _BLOCK
        start = start if long_name else at


def read_member(file: BinaryIO, path: Path, member: TarMember, hint: str) -> bytes:
    """Return the content of a member.

    Raises:
        SwerveError: the file has been cut since its headers were read.
    """
    content = os.pread(file.fileno(), member.size, member.first)
    if len(content) < member.size:
        raise damaged(path, f"ends within {member.name}", hint)
    return content


def damaged(path: Path, why: str, hint: str) -> SwerveError:
    """Return the error of a damaged tar file."""
    return SwerveError(f"{path}: damaged shard ({why}). {hint}")


def _long_name(file: BinaryIO, path: Path, first: int, size: int, hint: str) -> str:
    if size > _LONGEST_NAME:
        raise damaged(path, f"a name of {size} bytes at byte {first}", hint)
    try:
        return os.pread(file.fileno(), size, first).rstrip(b"\0").decode()
    except UnicodeDecodeError as error:
        raise damaged(path, f"the name at byte {first} is not UTF-8", hint) from error


def _header(file: BinaryIO, path: Path, at: int, end: int, hint: str) -> tarfile.TarInfo | None:
    """Read the header at the offset; None at the archive's end."""
    block = os.pread(file.fileno(), _BLOCK, at)
    if len(block) < _BLOCK:
        raise damaged(path, f"ends at byte {at + len(block)}, within a sample or before its end mark", hint)
    if not block.strip(b"\0"):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise damaged(path, f"no header at byte {at}: {error}", hint) from error
    if not 0 <= header.size <= end - at - _BLOCK:
        raise damaged(path, f"the member at byte {at} has {header.size} bytes, the file ends before", hint)
    return header
