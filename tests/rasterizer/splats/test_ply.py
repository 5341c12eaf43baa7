"""Standard PLY files: byte for byte by hand, round trips, and what is wrong with others."""

from dataclasses import fields

import numpy as np
import pytest

from swerve.rasterizer.splats import Gaussians, encode_ply, read_ply
from swerve.scenes import SwerveError
from tests.support.splat_clouds import random_gaussians


def assert_equal(found, expected):
    for field in fields(Gaussians):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name))


@pytest.mark.parametrize("degree", range(4))
def test_round_trip(tmp_path, degree):
    gaussians = random_gaussians(0, 7, degree)
    (tmp_path / "a.ply").write_bytes(encode_ply(gaussians))
    assert_equal(read_ply(tmp_path / "a.ply"), gaussians)


def test_none_at_all(tmp_path):
    (tmp_path / "a.ply").write_bytes(encode_ply(Gaussians.empty(1)))
    assert_equal(read_ply(tmp_path / "a.ply"), Gaussians.empty(1))


def test_the_fields_are_the_fields_and_harmonics_go_by_channel():
    """The layout that other programs read: `f_rest` has all of red, then green, then blue."""
    harmonics = np.arange(12, dtype=np.float32).reshape(1, 4, 3)
    one = Gaussians(
        np.array([[1, 2, 3]], np.float32),
        np.array([[20, 21, 22, 23]], np.float32),
        np.array([[30, 31, 32]], np.float32),
        np.array([40], np.float32),
        harmonics,
    )
    header, body = encode_ply(one).split(b"end_header\n")
    lines = header.decode().split("\n")
    assert lines[:3] == ["ply", "format binary_little_endian 1.0", "element vertex 1"]
    names = [line.split()[2] for line in lines[3:-1]]
    assert all(line.startswith("property float ") for line in lines[3:-1])
    rest = [f"f_rest_{i}" for i in range(9)]
    constants = ["f_dc_0", "f_dc_1", "f_dc_2"]
    tail = ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    assert names == ["x", "y", "z", "nx", "ny", "nz", *constants, *rest, *tail]
    values = dict(zip(names, np.frombuffer(body, "<f4"), strict=True))
    assert [values[name] for name in constants] == [0, 1, 2]
    assert [values[name] for name in rest] == [3, 6, 9, 4, 7, 10, 5, 8, 11]
    assert [values[name] for name in tail] == [40, 30, 31, 32, 20, 21, 22, 23]
    assert [values[name] for name in ("x", "y", "z", "nx")] == [1, 2, 3, 0]


def test_what_gsplat_exports_loads(tmp_path):
    """Its order, without normals; test_gsplat_oracle.py has `gsplat.export_splats` itself."""
    gaussians = random_gaussians(1, 5, 2)
    names = ["x", "y", "z", *(f"f_dc_{i}" for i in range(3)), *(f"f_rest_{i}" for i in range(24)), "opacity"]
    names += [*(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    columns = [gaussians.means, gaussians.sh_coefficients[:, 0], *gaussians.sh_coefficients[:, 1:].transpose(2, 0, 1)]
    columns += [gaussians.opacity_logits[:, None], gaussians.log_scales, gaussians.quaternions]
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 5\n"
    header += "".join(f"property float {name}\n" for name in names) + "end_header\n"
    (tmp_path / "a.ply").write_bytes(header.encode() + np.hstack(columns).astype("<f4").tobytes())
    assert_equal(read_ply(tmp_path / "a.ply"), gaussians)


def test_other_orders_types_and_extra_fields_load(tmp_path):
    """Doubles, no normals, another order, a comment, one more field, another element after the vertices."""
    names = ["opacity", "rot_0", "rot_1", "rot_2", "rot_3", "x", "y", "z", "confidence"]
    names += ["scale_0", "scale_1", "scale_2", "f_dc_0", "f_dc_1", "f_dc_2"]
    rows = np.zeros(2, [(name, "u1" if name == "confidence" else "<f8") for name in names])
    for k, name in enumerate(names):
        rows[name] = [k + 1, k + 101]
    properties = [f"property {'uchar' if name == 'confidence' else 'double'} {name}" for name in names]
    header = ["ply", "format binary_little_endian 1.0", "comment made by hand", "element vertex 2", *properties]
    header += ["element face 0", "property list uchar int vertex_indices", "end_header", ""]
    (tmp_path / "a.ply").write_bytes("\n".join(header).encode() + rows.tobytes())
    found = read_ply(tmp_path / "a.ply")
    np.testing.assert_array_equal(found.means, [[6, 7, 8], [106, 107, 108]])
    np.testing.assert_array_equal(found.quaternions[0], [2, 3, 4, 5])
    np.testing.assert_array_equal(found.opacity_logits, [1, 101])
    np.testing.assert_array_equal(found.sh_coefficients[1], [[113, 114, 115]])


CONTENT = encode_ply(random_gaussians(0, 3, degree=1))
WRONG = {
    "no PLY file": b"<html>",
    "not binary_little_endian": CONTENT.replace(b"binary_little_endian", b"ascii"),
    "the first element is not 'vertex'": CONTENT.replace(b"element vertex 3", b"element chunk 3"),
    "truncated after 2": CONTENT[:-1],
    "lack scale_1": CONTENT.replace(b"scale_1", b"scale_9"),
    "8 fields f_rest": CONTENT.replace(b"f_rest_8", b"feature8"),
    "cannot have the property 'half x'": CONTENT.replace(b"float x\n", b"half x\n"),
    "number of vertices is 'many'": CONTENT.replace(b"vertex 3", b"vertex many"),
}


@pytest.mark.parametrize("problem", WRONG)
def test_what_is_wrong_is_said(tmp_path, problem):
    path = tmp_path / "a.ply"
    path.write_bytes(WRONG[problem])
    with pytest.raises(SwerveError, match=f"a.ply: .*{problem}.*Export"):
        read_ply(path)


def test_a_file_that_is_not_there_or_not_finite(tmp_path):
    with pytest.raises(SwerveError, match="cannot be read"):
        read_ply(tmp_path / "a.ply")
    gaussians = random_gaussians(0, 3)
    gaussians.means[2] = np.inf
    (tmp_path / "a.ply").write_bytes(encode_ply(gaussians))
    with pytest.raises(SwerveError, match="means of Gaussian 2 are not finite"):
        read_ply(tmp_path / "a.ply")
