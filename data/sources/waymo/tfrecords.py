"""TFRecord files without TensorFlow, and parsing of Waymo's messages.

A record is its length (8 bytes, little-endian), the length's checksum (4), the data, and the data's checksum (4);
checksums are CRC-32C, rotated right by 15 bits plus a constant (TensorFlow's documentation of the format).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from swerve.data.sources.waymo.crc_kernels import crc32c
from swerve.scenes import LogError, MissingExtraError

_HEAD, _TAIL = 12, 4
_MASK = 0xA282EAD8
INSTALL = "pip install 'PATH[waymo]' && pip install --no-deps waymo-open-dataset-tf-2-12-0==1.6.7"


@dataclass(frozen=True)
class TFRecord:
    """One record of a file.

    Attributes:
        file: path of the file.
        number: index of the record, from 0.
        start: offset of the data in the file.
        data: content of the record.
    """

    file: Path
    number: int
    start: int
    data: bytes

    @property
    def name(self) -> str:
        """Name in messages."""
        return f"record {self.number}"


def read_records(file: Path) -> Iterator[TFRecord]:
    """Yield the file's records in order.

    Raises:
        LogError: no such file, no records in it, or a record is truncated or damaged: with its number and byte.
    """
    number = 0
    with _opened(file) as stream:
        while (length := _read_length(stream, file, number)) is not None:
            yield _read_data(stream, file, number, length)
            number += 1
    if not number:
        raise LogError(file, "records", "the file is empty")


def read_record(file: Path, number: int) -> TFRecord:
    """Read one record; earlier ones are skipped without reading their data.

    Raises:
        LogError: as `read_records`, or there are not so many records.
    """
    with _opened(file) as stream:
        for at in range(number + 1):
            length = _read_length(stream, file, at)
            if length is None:
                raise LogError(file, f"record {number}", f"the file has only {at} records")
            if at == number:
                return _read_data(stream, file, number, length)
            stream.seek(length + _TAIL, 1)
    raise AssertionError("unreachable")


def read_record_at(file: Path, number: int, start: int) -> TFRecord:
    """Read the record whose data start at a byte.

    Args:
        file: path of the file.
        number: index of the record.
        start: offset of its data.

    Raises:
        LogError: as `read_records`.
    """
    with _opened(file) as stream:
        stream.seek(max(start - _HEAD, 0))
        length = _read_length(stream, file, number)
        if length is None:
            raise LogError(file, f"record {number}", f"is missing: the file ends before byte {start}")
        return _read_data(stream, file, number, length)


def record_spans(file: Path) -> Iterator[tuple[int, int]]:
    """Yield where the data of each record start, and their length; the data are not read.

    Raises:
        LogError: as `read_records`, but for checksums of data.
    """
    number = 0
    with _opened(file) as stream:
        while (length := _read_length(stream, file, number)) is not None:
            yield stream.tell(), length
            stream.seek(length + _TAIL, 1)
            number += 1
    if not number:
        raise LogError(file, "records", "the file is empty")


def count_records(file: Path) -> int:
    """Count the records of the file, from their lengths only."""
    number = 0
    with _opened(file) as stream:
        while (length := _read_length(stream, file, number)) is not None:
            stream.seek(length + _TAIL, 1)
            number += 1
    return number


def parse_frame(record: TFRecord) -> Any:  # noqa: ANN401 - protobuf builds the class at run time
    """Parse the record as a perception `Frame`.

    Raises:
        LogError: it is another message.
    """
    frame = _parse(record, "waymo_open_dataset.dataset_pb2", "Frame")
    if frame is None or not frame.context.name or not frame.timestamp_micros:
        raise LogError(record.file, record.name, "is not a Waymo perception Frame")
    return frame


def parse_e2e_frame(record: TFRecord) -> Any:  # noqa: ANN401
    """Parse the record as an end-to-end `E2EDFrame`.

    Raises:
        LogError: it is another message.
    """
    frame = _parse(record, "waymo_open_dataset.protos.end_to_end_driving_data_pb2", "E2EDFrame")
    if frame is None or not frame.frame.context.name or not frame.HasField("past_states"):
        raise LogError(record.file, record.name, "is not a Waymo end-to-end E2EDFrame")
    return frame


def parse_scenario(record: TFRecord) -> Any:  # noqa: ANN401
    """Parse the record as a motion `Scenario`.

    Raises:
        LogError: it is another message.
    """
    scenario = _parse(record, "waymo_open_dataset.protos.scenario_pb2", "Scenario")
    if scenario is None or not scenario.scenario_id or not scenario.timestamps_seconds or not scenario.tracks:
        raise LogError(record.file, record.name, "is not a Waymo motion Scenario")
    return scenario


def holds_scenarios(file: Path) -> bool:
    """Test whether the file's first record is a motion Scenario (True) or a perception Frame (False).

    Raises:
        LogError: it is neither.
    """
    record = next(iter(read_records(file)))
    for parse, scenarios in ((parse_scenario, True), (parse_frame, False)):
        try:
            parse(record)
        except LogError:
            continue
        return scenarios
    hint = "End-to-end frames are read as wod_e2e:PATH" if _is_e2e_frame(record) else ""
    raise LogError(file, record.name, "is neither a Waymo motion Scenario nor a perception Frame", hint)


def _is_e2e_frame(record: TFRecord) -> bool:
    try:
        return parse_e2e_frame(record) is not None
    except (LogError, MissingExtraError):
        return False


def _parse(record: TFRecord, module: str, name: str) -> Any:  # noqa: ANN401
    """Parse the message; return None if the data are of another type."""
    try:
        message = getattr(import_module(module), name)
        decode_error = import_module("google.protobuf.message").DecodeError
    except ImportError as error:
        raise MissingExtraError("waymo_open_dataset (Waymo's protobuf classes)", INSTALL) from error
    try:
        return message.FromString(record.data)
    except decode_error:
        return None


def _opened(file: Path) -> BinaryIO:
    try:
        return open(file, "rb")
    except OSError as error:
        raise LogError(file, "file", f"cannot be read ({error.strerror})") from error


def _read_length(stream: BinaryIO, file: Path, number: int) -> int | None:
    """Read the length of the record that starts here; None at the end of the file."""
    at = stream.tell()
    head = stream.read(_HEAD)
    if not head:
        if at > file.stat().st_size:
            raise LogError(file, f"record {number - 1}", f"is truncated: the file ends before byte {at}")
        return None
    if len(head) < _HEAD:
        raise LogError(file, f"record {number}", f"is truncated: its head starts at byte {at}, where the file ends")
    length: int
    checksum: int
    length, checksum = struct.unpack("<QI", head)
    if _masked(head[:8]) != checksum:
        raise LogError(file, f"record {number}", f"bad checksum of the length at byte {at}", "Is this a TFRecord file?")
    left = file.stat().st_size - at - _HEAD
    if length + _TAIL > left:
        problem = f"is truncated: {length + _TAIL} bytes are due from byte {at + _HEAD}, there are {max(left, 0)}"
        raise LogError(file, f"record {number}", problem)
    return length


def _read_data(stream: BinaryIO, file: Path, number: int, length: int) -> TFRecord:
    start = stream.tell()
    data, tail = stream.read(length), stream.read(_TAIL)
    if len(data) < length or len(tail) < _TAIL:
        raise LogError(
            file,
            f"record {number}",
            f"is truncated: {length + _TAIL} bytes are due from byte {start}, there are {len(data) + len(tail)}",
        )
    if _masked(data) != struct.unpack("<I", tail)[0]:
        raise LogError(file, f"record {number}", f"bad checksum of the data at byte {start}: the file is damaged")
    return TFRecord(file, number, start, data)


def _masked(data: bytes) -> int:
    crc = int(crc32c(np.frombuffer(data, np.uint8)))
    return (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF
