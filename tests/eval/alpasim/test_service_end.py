"""Sessions and services of AlpaSim end and leave nothing behind."""

import gc
import threading

import numpy as np
import pytest

from swerve.data.dataset.image_encoding import encode_image
from swerve.eval.alpasim.protocol import DRIVER, protocol
from swerve.eval.alpasim.stub import Stub
from swerve.scenes import SwerveError
from tests.support.alpasim_client import (
    RED,
    START_US,
    Client,
    Seeing,
    Straight,
    camera,
    served,
    wait_until,
)


def test_sessions_of_clients_that_are_gone_end():
    with served(Straight(), session_timeout=0.2) as (service, port, reports):
        client = Client(port)
        client.start()
        client.stub.close()
        service.close_idle()
        assert len(service) == 1
        wait_until(lambda: (service.close_idle(), len(service) == 0)[1])
        assert [one.session for one in reports] == ["one"]


def test_sessions_leave_no_objects(caplog):
    """Fifty more sessions leave no new objects.

    gc.freeze takes out of the count what there was before: objects of other tests may be freed at any time. Of what
    sessions log pytest keeps records, where a test before has asked for them.
    """
    caplog.set_level("WARNING", "swerve.alpasim")

    def rollouts(count):
        for row in range(count):
            client.uuid = f"session {row}"
            client.start([camera("front")])
            client.move(START_US + 100_000 * np.arange(-15, 1))
            client.image("front", encode_image(RED, "png"))
            client.route()
            client.drive()
            client.close()
        reports.clear()
        planner.seen.clear()

    def few_new_objects():
        gc.collect()
        return len(gc.get_objects()) < 100

    planner = Seeing()
    with served(planner) as (service, port, reports):
        client = Client(port)
        rollouts(10)
        gc.freeze()
        try:
            rollouts(50)
            wait_until(few_new_objects)
        finally:
            gc.unfreeze()
        assert len(service) == 0


def test_a_service_that_ends_leaves_no_thread():
    before = threading.active_count()
    with served(Straight()) as (_, port, _):
        client = Client(port)
        client.start()
        client.stub.close()
    wait_until(lambda: threading.active_count() <= before)


def test_a_server_of_another_service_is_no_driver():
    stub = Stub("nre.grpc.protos.sensorsim.SensorsimService", "127.0.0.1:1", 0.3)
    with pytest.raises(SwerveError, match=r"127.0.0.1:1: get_version: no server answers there"):
        stub.check_version()
    stub.close()
    with served(Straight()) as (_, port, _):
        other = Stub("nre.grpc.protos.sensorsim.SensorsimService", f"127.0.0.1:{port}", 5.0)
        with pytest.raises(SwerveError, match="UNIMPLEMENTED"):
            other.call("get_available_scenes", protocol().Empty())
        other.close()
        assert Stub(DRIVER, f"127.0.0.1:{port}", 5.0).check_version().endswith("0.54.0")
