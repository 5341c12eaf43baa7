"""The job that computes the hidden states of every sample of a training set."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from rich.console import Console

from swerve.data.dataset.manifest import ShardRecord, read_record
from swerve.data.dataset.set_layout import SetRecords
from swerve.data.dataset.shards import Sample, ShardWriter
from swerve.data.jobs import (
    CORE_PACKAGES,
    RECORDS,
    Execution,
    FinishedParts,
    FolderLayout,
    PartResult,
    ProgressCallback,
    Resources,
    RunResult,
    Workers,
    job_config,
    open_job,
    record_path,
    report_damaged,
    run_work,
    write_failures,
)
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.checked_json import fields, integer, read_json, text
from swerve.data.storage.checked_npz import encode_npz
from swerve.data.storage.files import (
    commit,
    file_digest,
    os_errors_as_swerve_errors,
    remove_file,
    to_json,
    write_atomically,
)
from swerve.data.stream import ImageFit
from swerve.data.stream.decoded_sample import DecodedSample, decode_sample
from swerve.data.stream.shard_reader import ShardReader
from swerve.data.stream.stored_raster_renderer import StoredRasterRenderer
from swerve.planners.learning.hidden_state_store import DOMAINS, INFO, MANIFEST, MEMBER, Domain, StoredStates
from swerve.planners.learning.hidden_states import HiddenStates, encoder_of, spec_of
from swerve.scenes import LogError, SwerveError

NOUN: Final = "views"
PACKAGES: Final = (*CORE_PACKAGES, "torch", "transformers")
_LAYOUT: Final = FolderLayout(
    INFO,
    ("failures.json", "timing.json"),
    {RECORDS: ".json", **dict.fromkeys(("train", "val", "test"), ".tar")},
    disposable_folders=(RECORDS,),
    kind="hidden-states",
)
_RECORD: Final = fields({"shard": text, "size": integer(0), "sha256": text})


@dataclass(frozen=True)
class VlmOptions:
    """Model and what is taken of it.

    Attributes:
        folder: of the model.
        layer: see `HiddenStateSpec`.
        tokens: see `HiddenStateSpec`.
        prompt: see `HiddenStateSpec`.
    """

    folder: Path
    layer: int
    tokens: int
    prompt: str

    def encoder(self) -> HiddenStates:
        """Return the model, which a process reads once."""
        return encoder_of(str(self.folder), self.layer, self.tokens, self.prompt)


def write_hidden_states(
    dataset: str | Path,
    folder: str | Path,
    vlm: VlmOptions,
    cameras: Sequence[str],
    fit: ImageFit,
    domains: Sequence[Domain] = DOMAINS,
    workers: Workers = 1,
    console: Console | None = None,
) -> tuple[StoredStates, RunResult]:
    """Compute the hidden states of every view of a set; return what they are of, and the result of this run.

    The folder mirrors the set: shards of the same names with the samples in the same order. An interrupted job resumes
    when it is called again.

    Args:
        dataset: a finished set.
        folder: of the hidden states; new, empty, or of the same job.
        vlm: the model.
        cameras: names of cameras.
        fit: crop and size of the images.
        domains: images of a sample.
        workers: processes, each with the model in memory, or how the job is executed.
        console: where progress is shown; nowhere if None.

    Raises:
        MissingExtraError: transformers is not installed.
        SwerveError: the set is not finished or has none of the images, there is no such model, or the folder is of
            another job or cannot be written.
        ArrayPartDone: this run of an array made its part.
    """
    dataset, folder, execution = Path(dataset), Path(folder), Execution.of(workers)
    wanted = StoredStates(spec_of(vlm.folder, vlm.layer, vlm.tokens, vlm.prompt), tuple(cameras), fit, tuple(domains))
    records = _records_of(dataset, domains)
    stated, logs = wanted.to_json(file_digest(dataset / MANIFEST)), dict.fromkeys(record.log for record in records)
    config = job_config(stated, [("set", log) for log in logs], PACKAGES)
    needs = Resources(gpus=int(torch.cuda.is_available()))
    with open_job(folder, config, _LAYOUT, execution, console):
        with os_errors_as_swerve_errors(folder):
            finished, damaged = _look(folder, records)
            report_damaged(console, damaged)
        work = HiddenStateWork(folder, dataset, vlm, wanted)
        result = run_work(work, folder, list(logs), finished, NOUN, execution, console, needs=needs)
        with os_errors_as_swerve_errors(folder):
            write_failures(folder, result.failures)
            write_atomically(folder / "timing.json", to_json(result.timing))
            if not result.failures:
                write_atomically(folder / INFO, to_json(stated))
    return wanted, result


def _records_of(dataset: Path, domains: Sequence[Domain]) -> SetRecords:
    """Return the records of a set.

    Raises:
        SwerveError: it is not finished, or has none of the images.
    """
    if not (dataset / MANIFEST).is_file():
        raise SwerveError(f"{dataset}: no {MANIFEST}: not a finished set. Run `swerve augment` to its end")
    records = SetRecords(dataset)
    if "raster" not in domains and not any(row["photos"] for record in records for row in record.rows):
        raise SwerveError(f"{dataset}: has no photos. Make hidden states of its rasters (--images raster)")
    return records


def _own_record(folder: Path, part: ShardRecord) -> dict[str, Any] | None:
    """Read the record of a part of the set; None if it is missing, damaged, or of another part."""
    path = record_path(folder, part.log, part.part, ".json")
    try:
        found: dict[str, Any] | None = read_json(path, _RECORD) if path.is_file() else None
    except LogError:
        return None
    return found if found and found["shard"] == part.shard else None


def _look(folder: Path, parts: Iterable[ShardRecord]) -> tuple[FinishedParts, list[Path]]:
    """Remove records that are damaged, of another part, or of no part of the set.

    Returns:
        parts whose shard is as large as its record says, or that have no sample; and the removed records.
    """
    # Listed first: other runs of an array write records meanwhile.
    there = sorted((folder / RECORDS).glob("*.json"))
    finished, good = dict[str, tuple[set[int], int]](), set[Path]()
    for part in parts:
        done, _ = finished.setdefault(part.log, (set(), part.num_parts))
        record, path = _own_record(folder, part), folder / part.shard
        if record:
            good.add(record_path(folder, part.log, part.part, ".json"))
        if not part.shard or (record and path.is_file() and path.stat().st_size == record["size"]):
            done.add(part.part)
    damaged = [path for path in there if path not in good]
    for path in damaged:
        remove_file(path)
    return finished, damaged


@dataclass(frozen=True)
class HiddenStateWork:
    """Work of the job, sent once to every worker.

    Attributes:
        folder: of the hidden states.
        dataset: the set.
        vlm: the model.
        wanted: what is computed.
    """

    folder: Path
    dataset: Path
    vlm: VlmOptions
    wanted: StoredStates

    def open(self, log: str, watch: Stopwatch) -> "_OpenedLog":
        """Return the parts of a log. The first call of a worker reads the model.

        Raises:
            SwerveError: it cannot be read, or has changed since the job began.
        """
        with watch.measure("loading"):
            encoder = self.vlm.encoder()
        if encoder.spec != self.wanted.spec:
            raise SwerveError(f"{self.vlm.folder}: the model has changed since the job began")
        chunks = read_record(record_path(self.dataset, log, 0, ".json")).num_parts
        return _OpenedLog(
            self, log, chunks, encoder, ShardReader(self.dataset), StoredRasterRenderer(self.dataset), watch
        )


@dataclass(frozen=True)
class _OpenedLog:
    """A log of a set, see `swerve.data.jobs.LogHandle`."""

    work: HiddenStateWork
    log: str
    chunks: int
    encoder: HiddenStates
    reader: ShardReader
    renderer: StoredRasterRenderer
    watch: Stopwatch

    def make(self, chunk: int, report: ProgressCallback) -> PartResult:
        """Compute the hidden states of a part of the set: a shard, then its record.

        Raises:
            SwerveError: the set is damaged, lacks a camera, or the model has no such layer.
        """
        work, record = self.work, read_record(record_path(self.work.dataset, self.log, chunk, ".json"))
        if not record.shard:
            return PartResult(0)
        path, views = work.folder / record.shard, 0
        with ShardWriter(path, record.split) as writer:
            for number, row in enumerate(record.rows):
                report(row["token"], views, number / len(record.rows))
                with self.watch.measure("reading"):
                    stored = self.reader.sample(record.shard, number, row["key"])
                    sample = decode_sample(stored, work.wanted.cameras, work.wanted.fit, self.renderer)
                found = self._tokens(sample)
                writer.add(Sample(row["key"], record.split, {MEMBER: encode_npz(found)}, row))
                views += len(found)
            size, sha256 = writer.finish()
        commit(path)
        own = {"shard": record.shard, "size": size, "sha256": sha256}
        write_atomically(record_path(work.folder, self.log, chunk, ".json"), to_json(own))
        return PartResult(views)

    def _tokens(self, sample: DecodedSample) -> dict[str, np.ndarray]:
        """Return the tokens of a sample's views."""
        wanted, found = self.work.wanted, dict[str, np.ndarray]()
        count = range(len(wanted.cameras))
        with self.watch.measure("reading"):
            rasters = [sample.raster(camera) for camera in count] if "raster" in wanted.domains else []
            photos = [sample.photo(camera) for camera in count] if "photo" in wanted.domains else []
        with self.watch.measure("computing"):
            if rasters:
                found["raster"] = self.encoder.tokens(rasters)
            # Cameras without a photo are black in a batch, too.
            if any(one is not None for one in photos):
                black = np.zeros((wanted.fit.size[1], wanted.fit.size[0], 3), np.uint8)
                found["photo"] = self.encoder.tokens([black if one is None else one for one in photos])
        return found
