"""A step's answer as bytes: an Arrow IPC stream with one column, the names in its metadata."""

from __future__ import annotations

import json

import pyarrow as pa

from bandung.gateway.domain.release import ReleasedVector

_SCHEMA_KEY = b"bandung.schema"


def to_bytes(vector: ReleasedVector) -> bytes:
    """Return the vector as an Arrow IPC stream: `value` uint64 or float64."""
    values = pa.array(vector.values)
    schema = pa.schema([pa.field("value", values.type, nullable=False)], {_SCHEMA_KEY: json.dumps(vector.schema)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch([values], schema=schema))
    return sink.getvalue().to_pybytes()


def from_bytes(content: bytes) -> ReleasedVector:
    """Read what `to_bytes` wrote."""
    table = pa.ipc.open_stream(content).read_all()
    names = json.loads((table.schema.metadata or {})[_SCHEMA_KEY])
    return ReleasedVector(table["value"].to_numpy(), tuple(names))
