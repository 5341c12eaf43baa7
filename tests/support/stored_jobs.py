"""Jobs on a store in tests: what is there, and small jobs."""

import os
import time
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from swerve.data.jobs import job_config, open_job, run_work
from swerve.data.storage.files import to_json, write_atomically
from swerve.data.storage.fsspec_store import open_store
from swerve.data.storage.mirror import output_folder
from tests.support.counting_work import LAYOUT, CountingWork, finished_of

CHUNKS = {"a": 3, "b": 1, "c": 4}


@contextmanager
def patience(seconds):
    """Try requests again for so many seconds, in workers too."""
    with patch.dict(os.environ, SWERVE_STORE_RETRY_SECONDS=str(seconds)):
        yield


def download(url: str, folder: Path) -> Path:
    """Copy everything at a URL to a folder, but leases."""
    store = open_store(url)
    for one in store.list():
        if not one.name.endswith(".lease"):
            store.get(one.name, folder / one.name)
    return folder


def count(out, workers=1, wrong=None, options=None):
    """Run a job that writes squares, to a folder or a URL."""
    with output_folder(out) as folder:
        work = CountingWork(folder, CHUNKS, wrong or {})
        config = job_config(options or {}, [("simple", log) for log in CHUNKS], ())
        with open_job(folder, config, LAYOUT, workers):
            result = run_work(work, folder, list(CHUNKS), finished_of(folder, CHUNKS), "squares", workers)
            write_atomically(folder / "done.json", to_json(result.item_count))
    return result


def hang(url):
    """Begin a job, print its scratch folder, and wait to be killed."""
    with output_folder(url) as folder, open_job(folder, job_config({}, [("simple", "a")], ()), LAYOUT):
        print(folder, flush=True)
        time.sleep(60)
