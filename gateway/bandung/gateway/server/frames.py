"""Arrow tables as FlightData frames, written by hand; and uploaded parameters read back, with suspicion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.server.flight_pb.flight_pb2 import FlightData

# Default limits of clients are 4 to 16 MiB per message.
BATCH_BYTES_MAX = 2 << 20
_UPLOAD_BYTES_MAX = 1 << 20
_UPLOAD_MESSAGES_MAX = 4

# Field numbers of FlightData: data_header = 2, data_body = 1000; wire type 2 (length-delimited).
_HEADER_TAG = b"\x12"
_BODY_TAG = b"\xc2\x3e"


def frames(table: pa.Table) -> Iterator[bytes]:
    """Yield the schema, then batches of at most 2 MiB, each as one serialized FlightData.

    Joining the parts by hand copies the payload once; a message object would copy it twice more.
    """
    yield _frame(table.schema.serialize())
    for batch in table.to_batches(max_chunksize=_rows_max(table)):
        yield _frame(batch.serialize())


def schema_message(schema: pa.Schema) -> bytes:
    """Return the encapsulated IPC message of a schema, as Flight SQL wants it everywhere."""
    return schema.serialize().to_pybytes()


def parameters(uploaded: Iterable[FlightData]) -> tuple[str, ...]:
    """Read the one row of bound parameters from an upload.

    Raises:
        Refusal: TOO_LARGE, or BAD_PARAMETER unless it is one row of texts and numbers.
    """
    stream = b"".join(_ipc(data.data_header, data.data_body) for data in _bounded(uploaded) if data.data_header)
    try:
        table = pa.ipc.open_stream(stream).read_all()
        table.validate(full=True)
        if table.num_rows != 1:
            raise Refusal(ErrorKind.BAD_PARAMETER, f"{table.num_rows} rows were bound.")
        row = [column.cast(pa.string())[0].as_py() for column in table.columns if _is_scalar(column.type)]
    except (pa.ArrowException, OSError) as error:
        raise Refusal(ErrorKind.BAD_PARAMETER, "The upload is not a readable Arrow table.") from error
    if len(row) != table.num_columns or None in row:
        raise Refusal(ErrorKind.BAD_PARAMETER, "A value is neither a text nor a number.")
    return tuple(row)


def _bounded(uploaded: Iterable[FlightData]) -> Iterator[FlightData]:
    size = 0
    for count, data in enumerate(uploaded, 1):
        size += len(data.data_header) + len(data.data_body)
        if size > _UPLOAD_BYTES_MAX or count > _UPLOAD_MESSAGES_MAX:
            raise Refusal(ErrorKind.TOO_LARGE, "Parameters are at most 1 MiB in one batch.")
        yield data


def _is_scalar(type_: pa.DataType) -> bool:
    text = pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)
    return text or pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)


def _rows_max(table: pa.Table) -> int:
    row_bytes = max(1, table.nbytes // max(1, table.num_rows))
    # Half, because rows differ in size and a batch has padding.
    return max(1, BATCH_BYTES_MAX // (2 * row_bytes))


def _frame(message: pa.Buffer) -> bytes:
    parts = pa.ipc.read_message(message)
    header, body = parts.metadata, parts.body
    if body is None or not body.size:
        return b"".join((_HEADER_TAG, _varint(header.size), header))
    return b"".join((_HEADER_TAG, _varint(header.size), header, _BODY_TAG, _varint(body.size), body))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _ipc(header: bytes, body: bytes) -> bytes:
    """Return one IPC stream message: continuation, metadata length, padded metadata, body."""
    _refuse_packed(header)
    padding = -len(header) % 8
    size = (len(header) + padding).to_bytes(4, "little")
    return b"".join((b"\xff\xff\xff\xff", size, header, bytes(padding), body))


# Flatbuffer facts of Arrow's Message.fbs: `Message` has header_type at slot 1 and header at slot 2 (Schema = 1,
# RecordBatch = 3); `RecordBatch` has compression at slot 3.
_SCHEMA, _RECORD_BATCH = 1, 3


def _refuse_packed(header: bytes) -> None:
    """Let only schemas and uncompressed batches pass: a compressed buffer may claim any size when unpacked."""
    try:
        root = _u32(header, 0)
        kind = header[_slot(header, root, 1)] if _slot(header, root, 1) else 0
        if kind == _SCHEMA:
            return
        at = _slot(header, root, 2)
        if kind == _RECORD_BATCH and at and not _slot(header, at + _u32(header, at), 3):
            return
    except IndexError:
        pass
    raise Refusal(ErrorKind.BAD_PARAMETER, "Parameters are one plain, uncompressed batch of texts and numbers.")


def _slot(header: bytes, table: int, number: int) -> int:
    """Return the position of a flatbuffer table's field, or 0 if it is absent."""
    vtable = table - int.from_bytes(_take(header, table, 4), "little", signed=True)
    if 4 + 2 * number >= int.from_bytes(_take(header, vtable, 2), "little"):
        return 0
    offset = int.from_bytes(_take(header, vtable + 4 + 2 * number, 2), "little")
    return table + offset if offset else 0


def _u32(header: bytes, at: int) -> int:
    return int.from_bytes(_take(header, at, 4), "little")


def _take(header: bytes, at: int, count: int) -> bytes:
    if at < 0 or at + count > len(header):
        raise IndexError(at)
    return header[at : at + count]
