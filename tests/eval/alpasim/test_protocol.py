"""The messages are AlpaSim's on the wire."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

from swerve.eval.alpasim import protocol as own
from swerve.eval.alpasim.protocol import DRIVER, RENDERER, protocol

FILES = ("common.proto", "sensorsim.proto", "egodriver.proto")


def test_messages_are_these_bytes():
    """Tags and values written by hand, from the numbers of the fields: tag = number << 3 | wire type."""
    messages = protocol()
    drive = messages.DriveRequest(session_uuid="ab", time_now_us=1, time_query_us=2, renderer_data=b"x")
    assert drive.SerializeToString() == (
        b"\x0a\x02ab" + b"\x19" + struct.pack("<Q", 1) + b"\x21" + struct.pack("<Q", 2) + b"\x2a\x01x"
    )
    pose = messages.Pose(vec=messages.Vec3(x=1.0, z=3.0), quat=messages.Quat(w=1.0, z=0.5))
    vec = b"\x0d" + struct.pack("<f", 1.0) + b"\x1d" + struct.pack("<f", 3.0)
    quat = b"\x0d" + struct.pack("<f", 1.0) + b"\x25" + struct.pack("<f", 0.5)
    encoded = b"\x0a" + bytes([len(vec)]) + vec + b"\x12" + bytes([len(quat)]) + quat
    assert pose.SerializeToString() == encoded
    at = messages.PoseAtTime(pose=pose, timestamp_us=7)
    at_bytes = b"\x0a" + bytes([len(encoded)]) + encoded + b"\x11" + struct.pack("<Q", 7)
    response = messages.DriveResponse(trajectory=messages.Trajectory(poses=[at]), terminate_session=True)
    trajectory = b"\x0a" + bytes([len(at_bytes)]) + at_bytes
    assert response.SerializeToString() == b"\x12" + bytes([len(trajectory)]) + trajectory + b"\x20\x01"
    image = messages.RolloutCameraImage(session_uuid="s")
    image.camera_image.logical_id, image.camera_image.frame_end_us = "c", 5
    inner = b"\x19" + struct.pack("<Q", 5) + b"\x2a\x01c"
    assert image.SerializeToString() == b"\x0a\x01s\x1a" + bytes([len(inner)]) + inner


def test_services_have_alpasims_methods():
    assert set(protocol().services[DRIVER]) == {
        *("start_session", "close_session", "submit_image_observation", "submit_egomotion_observation"),
        *("submit_route", "submit_recording_ground_truth", "drive", "get_version"),
    }
    assert "batch_render_rgb" in protocol().services[RENDERER]
    with pytest.raises(AttributeError, match="NoSuchMessage"):
        _ = protocol().NoSuchMessage


def test_all_fields_are_alpasims(tmp_path):
    """Names, numbers, types and labels of every field, value and method, against a checkout of NVlabs/alpasim."""
    root = os.environ.get("SWERVE_ALPASIM")
    if not root:
        pytest.skip("SWERVE_ALPASIM does not name a checkout of github.com/NVlabs/alpasim")
    folder = Path(root) / "src" / "grpc"
    theirs = facts(folder, [f"alpasim_grpc/v0/{name}" for name in FILES], tmp_path)
    ours = facts(Path(own.__file__).parent / "protos", FILES, tmp_path)
    assert len(ours) > 200
    assert ours == theirs


def test_a_process_may_have_nvidias_package_too(tmp_path):
    """Generated modules of the same names register in protobuf's default pool; Swerve's messages are elsewhere."""
    folder = Path(own.__file__).parent / "protos"
    for name in FILES:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert protoc.main(["protoc", f"-I{tmp_path}", f"--python_out={tmp_path}", *FILES]) == 0
    code = (
        "import egodriver_pb2 as theirs; from swerve.eval.alpasim.protocol import protocol;"
        "sent = theirs.DriveRequest(session_uuid='ab', time_now_us=3).SerializeToString();"
        "assert protocol().DriveRequest.FromString(sent).time_now_us == 3"
    )
    root = Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=root, env={**os.environ, "PYTHONPATH": str(tmp_path)}, timeout=60
    )


def facts(root, files, tmp_path):
    """Return all facts of .proto files as a set of tuples."""
    out = tmp_path / "set"
    assert protoc.main(["protoc", f"-I{root}", f"--descriptor_set_out={out}", *files]) == 0
    found = set()
    for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
        for message in file.message_type:
            found |= set(of_message(f".{file.package}", message))
        found |= set(of_enums(f".{file.package}", file.enum_type))
        for service in file.service:
            found |= {(file.package, service.name, one.name, one.input_type, one.output_type) for one in service.method}
    return found


def of_message(prefix, message):
    name = f"{prefix}.{message.name}"
    yield (name,)
    for field in message.field:
        oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None
        yield (name, field.name, field.number, field.type, field.label, field.type_name, oneof)
    yield from of_enums(name, message.enum_type)
    for nested in message.nested_type:
        yield from of_message(name, nested)


def of_enums(prefix, enums):
    return [(prefix, enum.name, value.name, value.number) for enum in enums for value in enum.value]
