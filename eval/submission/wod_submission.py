"""A submission to Waymo's end-to-end driving challenge: E2EDChallengeSubmission messages in a tar.gz file."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.data.sources.waymo.tfrecords import INSTALL
from swerve.data.storage.files import make_folder, os_errors_as_swerve_errors, write_atomically
from swerve.eval.submission.wod_submission_info import WodSubmissionInfo
from swerve.scenes import MissingExtraError, SwerveError

FILE_NAME: Final = "submission.tar.gz"
POINTS: Final = 20
_FOLDER: Final = "submission"


def submission_class() -> Any:  # noqa: ANN401 - protobuf builds the class at run time
    """Return Waymo's message class E2EDChallengeSubmission.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        module = import_module("waymo_open_dataset.protos.end_to_end_driving_submission_pb2")
    except ImportError as error:
        raise MissingExtraError("waymo_open_dataset (Waymo's protobuf classes)", INSTALL) from error
    return module.E2EDChallengeSubmission


def write_wod_submission(
    path: Path, info: WodSubmissionInfo, predictions: Mapping[str, Float[np.ndarray, "20 2"]], shards: int = 1
) -> None:
    """Write a submission, atomically; the same content gives the same bytes.

    Args:
        path: of the .tar.gz file.
        info: the method.
        predictions: positions after 0.25, 0.5, ..., 5 s, by name of the frame.
        shards: number of messages, one file each, among which the predictions are divided.

    Raises:
        SwerveError: there are fewer predictions than shards, or the file cannot be written.
        MissingExtraError: Waymo's message classes are not installed.
    """
    if not 1 <= shards <= len(predictions):
        raise SwerveError(f"shards: {shards}, must be 1 to the number of predictions, {len(predictions)}")
    names = np.array_split(list(predictions), shards)
    content = {
        f"{_FOLDER}/part{index}": serialized_shard(info, {str(name): predictions[str(name)] for name in part})
        for index, part in enumerate(names)
    }
    make_folder(path.parent)
    with os_errors_as_swerve_errors(path):
        write_atomically(path, _archive(content))


def serialized_shard(info: WodSubmissionInfo, predictions: Mapping[str, Float[np.ndarray, "20 2"]]) -> bytes:
    """Return one message with a part of the predictions.

    Raises:
        MissingExtraError: Waymo's message classes are not installed.
    """
    message = submission_class()
    shard = message(
        submission_type=message.E2ED_SUBMISSION,
        account_name=info.account_name,
        unique_method_name=info.method_name,
        authors=info.authors,
        affiliation=info.affiliation,
        description=info.description,
        method_link=info.method_link,
        uses_public_model_pretraining=info.uses_public_model_pretraining,
        public_model_names=info.public_model_names,
        num_model_parameters=info.num_model_parameters,
    )
    for name, points in predictions.items():
        prediction = shard.predictions.add(frame_name=name)
        prediction.trajectory.pos_x.extend(points[:, 0].astype(np.float32).tolist())
        prediction.trajectory.pos_y.extend(points[:, 1].astype(np.float32).tolist())
    data: bytes = shard.SerializeToString(deterministic=True)
    return data


def _archive(content: Mapping[str, bytes]) -> bytes:
    """Return a tar.gz file of files in memory, without times and owners."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()
