"""An S3 server on loopback (moto), some of whose answers are errors, late, cut short or missing."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from unittest.mock import patch
from urllib.request import Request, urlopen

BUCKET = "swerve-test"
KINDS = ("500", "503", "slow", "reset", "partial")
_BODY = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>injected</Message></Error>"
_ERRORS = {"500": ("500 Internal Server Error", b"InternalError"), "503": ("503 Slow Down", b"SlowDown")}


@dataclass
class Faults:
    """Answers of the server that go wrong.

    Attributes:
        share: of the answers, 0 to 1.
        after: puts after which no answer is right; never if None.
        kinds: what goes wrong, each as often.
        counts: requests, by method, and faults by kind.
        delay: seconds of a slow answer.
    """

    share: float = 0.0
    after: int | None = None
    kinds: tuple[str, ...] = KINDS
    counts: Counter[str] = field(default_factory=Counter)
    delay: float = 0.3
    rng: random.Random = field(default_factory=lambda: random.Random(0))


class FaultyApp:
    """WSGI application with faults."""

    def __init__(self, app, faults):
        self._app, self.faults, self._lock = app, faults, threading.Lock()

    def __call__(self, environ, start_response):
        with self._lock:
            self.faults.counts[environ["REQUEST_METHOD"]] += 1
            bad = self.faults.rng.random() < self.faults.share
            bad |= self.faults.after is not None and self.faults.counts["PUT"] > self.faults.after
            kind = self.faults.rng.choice(self.faults.kinds) if bad else ""
            self.faults.counts[kind] += bad
        if kind in _ERRORS:
            return _answer(environ, start_response, *_ERRORS[kind])
        if kind == "slow":
            time.sleep(self.faults.delay)
        if kind == "reset":
            _cut(environ)
        body = self._app(environ, start_response)
        # What was done may be lost on the way, as well as what was asked.
        return _cut_in_half(environ, body) if kind == "partial" else body


def _answer(environ, start_response, status, code):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response(status, [("Content-Type", "application/xml")])
    return [_BODY % code]


def _cut(environ):
    with suppress(OSError):
        environ["werkzeug.socket"].shutdown(2)
    raise ConnectionAbortedError


def _cut_in_half(environ, body):
    whole = b"".join(body)
    yield whole[: len(whole) // 2]
    with suppress(OSError):
        environ["werkzeug.socket"].shutdown(2)


@contextmanager
def s3_server(faults: Faults | None = None) -> Iterator[str]:
    """Run a server with an empty bucket, named by this process's environment; yield the URL of a folder in it."""
    import logging

    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_):
            pass

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    app = FaultyApp(DomainDispatcherApplication(create_backend_app), Faults())
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    own = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "SWERVE_STORE_TIMEOUT": "5",
    }
    with patch.dict(os.environ, own):
        import s3fs

        # Connections to an earlier server, and what it held, are kept in the process.
        s3fs.S3FileSystem.clear_instance_cache()
        urlopen(Request(f"{own['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")).close()
        s3fs.S3FileSystem(skip_instance_cache=True).mkdir(BUCKET)
        if faults is not None:
            app.faults = faults
        try:
            yield f"s3://{BUCKET}"
        finally:
            app.faults = Faults()
            server.shutdown()
            thread.join()
            server.server_close()
