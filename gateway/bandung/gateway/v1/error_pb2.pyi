from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Error(_message.Message):
    __slots__ = ("code", "meaning", "detail", "remedy", "line", "column", "exchange")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    meaning: str
    detail: str
    remedy: str
    line: int
    column: int
    exchange: str
    def __init__(self, code: _Optional[str] = ..., meaning: _Optional[str] = ..., detail: _Optional[str] = ..., remedy: _Optional[str] = ..., line: _Optional[int] = ..., column: _Optional[int] = ..., exchange: _Optional[str] = ...) -> None: ...
