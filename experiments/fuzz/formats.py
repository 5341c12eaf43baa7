"""Mutations by format: a file stays well-formed and says something else, so that deeper checks are reached."""

import gzip
import io
import json
import pickle
import sqlite3
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from experiments.fuzz.hostile import (
    NUMBERS,
    TEXTS,
    Mutation,
    hostile_value,
    mutate_array,
    mutate_bytes,
    mutate_tree,
    pick,
)

# Share of the cases in which any byte is changed, whatever the format.
_BLIND: Final = 0.25


def blindly(mutation: Mutation) -> Mutation:
    """Return a mutation that leaves the format alone in a quarter of the cases, and changes any bytes."""

    def mutate(random: np.random.Generator, content: bytes) -> bytes:
        return mutate_bytes(random, content) if random.random() < _BLIND else mutation(random, content)

    return mutate


def _json(random: np.random.Generator, content: bytes) -> bytes:
    tree = json.loads(content)
    for _ in range(int(random.integers(1, 3))):
        tree = mutate_tree(random, tree)
    try:
        return json.dumps(tree).encode()
    except (RecursionError, ValueError):
        return b"[" * 5000


mutate_json = blindly(_json)


def mutate_json_gz(random: np.random.Generator, content: bytes) -> bytes:
    """Change compressed JSON, or the compressed bytes."""
    if random.random() < 0.2:
        return mutate_bytes(random, content)
    return gzip.compress(mutate_json(random, gzip.decompress(content)), 1)


def _npy(random: np.random.Generator, content: bytes) -> bytes:
    if random.random() < 0.4:
        header = 10 + int.from_bytes(content[8:10], "little")
        return mutate_bytes(random, content[:header]) + content[header:]
    changed = io.BytesIO()
    np.save(changed, mutate_array(random, np.load(io.BytesIO(content))))
    return changed.getvalue()


mutate_npy = blindly(_npy)


def npz(tree: bool = False) -> Mutation:
    """Return a mutation of zipped arrays; with a tree, of Swerve's archives, whose member `tree` is JSON."""

    def mutate(random: np.random.Generator, content: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name = "tree.npy" if tree and random.random() < 0.7 else pick(random, list(members))
        if tree and name == "tree.npy" and random.random() < 0.9:
            text = np.load(io.BytesIO(members[name])).tobytes()
            members[name] = _saved(np.frombuffer(mutate_json(random, text), np.uint8))
        elif random.random() < 0.1:
            members[pick(random, TEXTS)] = members.pop(name)
        else:
            members[name] = mutate_npy(random, members[name])
        return _zipped(random, members)

    return blindly(mutate)


def _saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _zipped(random: np.random.Generator, members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", pick(random, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, member in members.items():
            archive.writestr(name.strip("\0") or "empty", member)
    content = bytearray(stream.getvalue())
    if random.random() < 0.05:
        content[6] |= 1  # encrypted, says the local header; and the central one, 8 bytes after its signature
        content[content.find(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def tar(of: dict[str, Mutation]) -> Mutation:
    """Return a mutation of tar files: of their headers, or of a member by the end of its name."""

    def mutate(random: np.random.Generator, content: bytes) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            members = [(entry.name, archive.extractfile(entry).read()) for entry in archive]  # type: ignore[union-attr]
        action, at = random.random(), int(random.integers(len(members)))
        name, member = members[at]
        if action < 0.05:
            members = members[:at]
        elif action < 0.1:
            members.insert(at, members[at])
        elif action < 0.15:
            members[at] = (pick(random, TEXTS) or "x", member)
        elif action < 0.3:
            return _other_header(random, content)
        else:
            own = next((mutation for end, mutation in of.items() if name.endswith(end)), mutate_bytes)
            members[at] = (name, own(random, member))
        return _tarred(members)

    return blindly(mutate)


def _tarred(members: list[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def _other_header(random: np.random.Generator, content: bytes) -> bytes:
    """Change a field of a header, and its checksum with it."""
    data = bytearray(content)
    starts = [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"]
    at = pick(random, starts)
    first, size = pick(random, ((0, 100), (124, 12), (124, 12), (124, 12), (156, 1), (345, 155)))
    field = pick(
        random, (b"\xff" * size, b"\x80" + random.bytes(size - 1), b"7" * size, bytes(size), random.bytes(size))
    )
    data[at + first : at + first + size] = field[:size]
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % (sum(data[at : at + 512]) & 0o777777)
    return bytes(data)


def _mutated_table(random: np.random.Generator, table: pa.Table) -> pa.Table:
    column, action = pick(random, table.column_names), int(random.integers(7))
    at = table.column_names.index(column)
    if action == 0:
        return table.drop_columns([column])
    if action == 1:
        return table.rename_columns([pick(random, TEXTS) if name == column else name for name in table.column_names])
    if action == 2:
        return table.slice(0, int(random.integers(len(table) + 1)))
    if action == 3:
        return pa.concat_tables([table, table.slice(int(random.integers(len(table))), 1)])
    values, row = table[column].to_pylist(), int(random.integers(len(table)))
    values[row] = hostile_value(random) if action > 4 else pick(random, (*NUMBERS, *TEXTS, None))
    for kind in (table[column].type, pa.string(), pa.float64()):
        try:
            return table.set_column(at, column, pa.array(values, kind))
        except (pa.ArrowException, OverflowError, RecursionError, ValueError, TypeError):
            continue
    return table.set_column(at, column, pa.nulls(len(table), table[column].type))


def _feather(random: np.random.Generator, content: bytes) -> bytes:
    stream = io.BytesIO()
    feather.write_feather(_mutated_table(random, feather.read_table(io.BytesIO(content))), stream)
    return stream.getvalue()


def _parquet(random: np.random.Generator, content: bytes) -> bytes:
    stream = io.BytesIO()
    pq.write_table(_mutated_table(random, pq.read_table(io.BytesIO(content))), stream)
    return stream.getvalue()


mutate_feather, mutate_parquet = blindly(_feather), blindly(_parquet)


def _sqlite(random: np.random.Generator, content: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        connection = sqlite3.connect(path)
        try:
            _change(random, connection)
        except (sqlite3.Error, OverflowError):
            pass  # SQLite refuses some changes: then the file stays as it is, and must be accepted
        finally:
            connection.close()
        return path.read_bytes()


def _change(random: np.random.Generator, connection: sqlite3.Connection) -> None:
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    table = pick(random, tables)
    columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
    column, action = pick(random, columns), random.random()
    if action < 0.08:
        connection.execute(f'DROP TABLE "{table}"')
    elif action < 0.16:
        connection.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO other')
    elif action < 0.24:
        connection.execute(f'DELETE FROM "{table}" WHERE rowid > ?', (int(random.integers(0, 4)),))
    else:
        where = "" if action < 0.4 else f' WHERE rowid = (SELECT rowid FROM "{table}" ORDER BY random() LIMIT 1)'
        row = connection.execute(f'SELECT "{column}" FROM "{table}"').fetchone()
        connection.execute(f'UPDATE "{table}" SET "{column}" = ?{where}', (_cell(random, row[0] if row else None),))
    connection.commit()


def _cell(random: np.random.Generator, value: Any) -> Any:
    if isinstance(value, bytes) and value and random.random() < 0.7:
        return mutate_bytes(random, value)
    other = pick(random, (*NUMBERS, *TEXTS, None, b"", b"\0" * 9))
    return other if not isinstance(other, int) or -(2**63) <= other < 2**63 else 2**63 - 1


mutate_sqlite = blindly(_sqlite)


def _text(random: np.random.Generator, content: bytes) -> bytes:
    lines = content.decode().split("\n")
    at, action = int(random.integers(len(lines))), random.random()
    if action < 0.1:
        del lines[at]
    elif action < 0.2:
        lines.insert(at, lines[at])
    else:
        words = lines[at].split(" ")
        other = pick(random, (*NUMBERS, *TEXTS))
        words[int(random.integers(len(words)))] = other if isinstance(other, str) else f"{other!s:.400}"
        lines[at] = " ".join(words)
    return "\n".join(lines).encode()


mutate_text = blindly(_text)


def _pickle(random: np.random.Generator, content: bytes) -> bytes:
    tree = pickle.loads(content)
    for _ in range(int(random.integers(1, 3))):
        tree = mutate_tree(random, tree)
    try:
        return pickle.dumps(tree, int(random.integers(2, 6)))
    except (RecursionError, ValueError, TypeError):
        return b"\x80\x04" + b"]" * 5000 + b"."


mutate_pickle = blindly(_pickle)


def _safetensors(random: np.random.Generator, content: bytes) -> bytes:
    size = struct.unpack("<Q", content[:8])[0]
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    metadata = header.get("__metadata__", {})
    name = next(iter(metadata), None)
    if name is not None and random.random() < 0.6:
        metadata[name] = mutate_json(random, metadata[name].encode()).decode("utf-8", "replace")
    else:
        header = mutate_tree(random, header)
    try:
        text = json.dumps(header).encode()
    except (RecursionError, ValueError):
        text = b"[" * 5000
    if random.random() < 0.2:
        body = mutate_bytes(random, body)
    return struct.pack("<Q", len(text)) + text + body


mutate_safetensors = blindly(_safetensors)
