"""Checks of a WOD-E2E submission before the upload: the server takes six in 30 days."""

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from swerve.data.sources.wod_e2e.frame_index import parse_frame_name
from swerve.eval.rater_feedback.cluster_scores import read_json_table
from swerve.eval.submission.check_submission import SubmissionCheck
from swerve.eval.submission.wod_submission import POINTS, submission_class
from swerve.scenes import SwerveError

FRAMES_FILE: Final = "test_sequence_frames_for_submission.json"
_GZIP: Final = b"\x1f\x8b"
_TAR_MAGIC: Final = (257, b"ustar")
# Bytes that are read of all shards together; the challenge's 1505 trajectories take less than 1 MB.
_LARGEST: Final = 1 << 28
_REQUIRED: Final = ("account_name", "unique_method_name", "affiliation", "num_model_parameters")
_WANTED: Final = ("description", "method_link")
_PARAMETERS: Final = re.compile(r"\d+[KMBT]", re.IGNORECASE)
_FASTEST: Final = 60.0
_HORIZON: Final = 5.0
_SHOWN: Final = 3


def is_wod_submission(path: Path) -> bool:
    """Test whether a file is a tar archive, compressed or not, as WOD-E2E's submissions are.

    Raises:
        SwerveError: it cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise SwerveError(f"{path}: cannot be read ({error.strerror})") from error
    at, magic = _TAR_MAGIC
    return head.startswith(_GZIP) or head[at:].startswith(magic)


def read_frames_to_submit(file: Path) -> dict[str, int]:
    """Read the index of the frame to submit of each sequence.

    Raises:
        SwerveError: the file cannot be read, or a value is no index.
    """
    frames = {}
    for sequence, value in read_json_table(file).items():
        if isinstance(value, bool) or not re.fullmatch(r"\d{1,6}", str(value)):
            raise SwerveError(f"{file}: {sequence}: has frame {value!r}, must be an index")
        frames[sequence] = int(value)
    return frames


def check_wod_submission(path: Path, frames: Mapping[str, int]) -> SubmissionCheck:
    """Check a submission file.

    Args:
        path: of the file.
        frames: index of the frame to submit of each sequence, see `read_frames_to_submit`.

    Raises:
        SwerveError: the file is no archive that can be read.
        MissingExtraError: Waymo's message classes are not installed.
    """
    errors, warnings = list[str](), list[str]()
    if not path.name.endswith((".tar.gz", ".tgz")):
        warnings.append(f"the file is named {path.name}: Waymo's instructions ask for a .tar.gz file")
    shards = dict(_parsed_shards(path, errors))
    for fault in dict.fromkeys(fault for shard in shards.values() for fault in _field_faults(shard)):
        errors.append(fault)
    errors += _differences(shards)
    warnings += dict.fromkeys(oddity for shard in shards.values() for oddity in _field_oddities(shard))
    predictions = [prediction for shard in shards.values() for prediction in shard.predictions]
    errors += _frame_faults([prediction.frame_name for prediction in predictions], frames)
    errors += _counted(predictions, _trajectory_fault)
    warnings += _counted(predictions, _trajectory_oddity)
    return SubmissionCheck(tuple(errors), tuple(warnings), {"predictions": len(predictions)})


def _parsed_shards(path: Path, errors: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the messages of an archive by name; files that are none become errors."""
    message = submission_class()
    decode_error = import_module("google.protobuf.message").DecodeError
    unknown_fields = import_module("google.protobuf.unknown_fields").UnknownFieldSet
    found = 0
    for name, data in _files(path, errors):
        found += 1
        try:
            shard = message.FromString(data)
        except decode_error:
            errors.append(f"{name}: is not an E2EDChallengeSubmission")
            continue
        if strange := sorted({field.field_number for field in unknown_fields(shard)}):
            errors.append(f"{name}: has fields that E2EDChallengeSubmission does not have: {strange}")
        yield name, shard
    if not found:
        errors.append("the archive has no files")


def _files(path: Path, errors: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an archive; nothing is unpacked to the disk.

    Raises:
        SwerveError: the archive is damaged, or unreasonably large.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(_unzipped(path)), mode="r:") as archive:
            for member in archive:
                if member.isdir():
                    continue
                if not member.isreg() or member.issparse():
                    errors.append(f"{member.name}: is a link or a device, must be a file")
                    continue
                yield member.name, _content(archive, member, path)
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise SwerveError(f"{path}: is not a tar.gz archive, or is damaged ({error})") from error


def _unzipped(path: Path) -> bytes:
    """Return the bytes of an archive, all of them, so that their checksum is compared.

    Raises:
        SwerveError: there are too many.
    """
    with open(path, "rb") as file:
        compressed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        data = (gzip.GzipFile(fileobj=file) if compressed else file).read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise SwerveError(f"{path}: more than {_LARGEST >> 20} MiB: not a submission")
    return data


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    """Return the content of a file in an archive.

    Raises:
        SwerveError: it is not all there.
    """
    if member.size > _LARGEST:  # before it is believed: of sparse files any size may be stated
        raise SwerveError(f"{path}: {member.name}: more than {_LARGEST >> 20} MiB: not a submission")
    stream = archive.extractfile(member)
    data = stream.read() if stream else b""
    if len(data) < member.size:
        raise SwerveError(f"{path}: {member.name}: the archive is truncated")
    return data


def _field_faults(shard: Any) -> Iterator[str]:  # noqa: ANN401 - protobuf builds the class at run time
    """Yield what a message lacks of the required fields."""
    if shard.submission_type != shard.E2ED_SUBMISSION:
        yield "submission_type is not E2ED_SUBMISSION"
    for name in _REQUIRED:
        if not getattr(shard, name).strip():
            yield f"{name} is missing"
    if not any(author.strip() for author in shard.authors):
        yield "authors are missing"
    if shard.account_name.strip() and "@" not in shard.account_name:
        yield f"account_name {shard.account_name!r} is not the address with which you are registered"
    if not shard.HasField("uses_public_model_pretraining"):
        yield "uses_public_model_pretraining is not set: true or false is required"


def _field_oddities(shard: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield what the server accepts and is probably not meant."""
    for name in _WANTED:
        if not getattr(shard, name).strip():
            yield f"{name} is empty"
    if shard.uses_public_model_pretraining and not shard.public_model_names:
        yield "uses_public_model_pretraining is true, and public_model_names names no model"
    if shard.num_model_parameters.strip() and not _PARAMETERS.fullmatch(shard.num_model_parameters):
        yield f"num_model_parameters is {shard.num_model_parameters!r}: a whole number and K, M, B or T is asked for"


def _differences(shards: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields that are not the same in all messages."""
    rest = [name for name in submission_class().DESCRIPTOR.fields_by_name if name != "predictions"]
    for field in rest:
        values = {str(getattr(shard, field)) for shard in shards.values()}
        if len(values) > 1:
            yield f"{field} differs between files: {', '.join(sorted(values))[:200]}"


def _frame_faults(names: Sequence[str], frames: Mapping[str, int]) -> Iterator[str]:
    """Yield missing sequences, wrong frames, and names that are not of the challenge."""
    found: dict[str, list[int]] = {}
    strange, wrong = list[str](), list[str]()
    for name in names:
        try:
            sequence, index = parse_frame_name(name)
        except ValueError:
            strange.append(repr(name[:80]))
            continue
        found.setdefault(sequence, []).append(index)
        if sequence not in frames:
            strange.append(name)
        elif index != frames[sequence]:
            wrong.append(f"{name} instead of {sequence}-{frames[sequence]:03d}")
    twice = [name for name, indices in found.items() if len(indices) > 1]
    missing = [name for name in frames if name not in found]
    for problem, examples in (
        (f"of {len(frames)} sequences are missing", missing),
        ("predictions are not for the frame to submit", wrong),
        ("predictions are not of the sequences to submit", strange),
        ("sequences have several predictions", twice),
    ):
        if examples:
            yield f"{len(examples)} {problem}, such as {', '.join(examples[:_SHOWN])}"


def _counted(predictions: Sequence[Any], fault_of: Any) -> list[str]:  # noqa: ANN401
    """Return each fault of trajectories once, with the number of frames that have it."""
    faults: dict[str, list[str]] = {}
    for prediction in predictions:
        if fault := fault_of(prediction.trajectory):
            faults.setdefault(fault, []).append(prediction.frame_name)
    return [f"{fault} in {len(names)} frames, such as {', '.join(names[:_SHOWN])}" for fault, names in faults.items()]


def _trajectory_fault(trajectory: Any) -> str | None:  # noqa: ANN401
    """Return the reason why the server cannot score a trajectory."""
    x, y = np.array(trajectory.pos_x), np.array(trajectory.pos_y)
    if len(x) != POINTS or len(y) != POINTS:
        return f"{len(x)} x and {len(y)} y coordinates instead of {POINTS}, 0.25 s to 5 s"
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return "positions that are not finite"
    return None


def _trajectory_oddity(trajectory: Any) -> str | None:  # noqa: ANN401
    """Return what the server accepts and is probably not meant."""
    if _trajectory_fault(trajectory):
        return None
    points = np.stack([trajectory.pos_x, trajectory.pos_y], axis=1)
    if np.abs(points).max() > _FASTEST * _HORIZON:
        return f"positions farther than {_FASTEST * _HORIZON:.0f} m: they must be relative to the rear axle of now"
    if np.abs(points[0]).max() < 1e-6 and np.linalg.norm(points[1] - points[0]) > 0.5:
        return "a first position at the origin before a move: the first position is that after 0.25 s"
    return None
