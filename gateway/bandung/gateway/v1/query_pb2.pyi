from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TableRequest(_message.Message):
    __slots__ = ("dataset", "group_by", "filters", "statistics")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    group_by: _containers.RepeatedScalarFieldContainer[str]
    filters: _containers.RepeatedCompositeFieldContainer[Filter]
    statistics: _containers.RepeatedCompositeFieldContainer[Statistic]
    def __init__(self, dataset: _Optional[str] = ..., group_by: _Optional[_Iterable[str]] = ..., filters: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ..., statistics: _Optional[_Iterable[_Union[Statistic, _Mapping]]] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("column", "code")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    column: str
    code: str
    def __init__(self, column: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class Statistic(_message.Message):
    __slots__ = ("kind", "measure")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Statistic.Kind]
        KIND_COUNT: _ClassVar[Statistic.Kind]
        KIND_SUM: _ClassVar[Statistic.Kind]
        KIND_MEAN: _ClassVar[Statistic.Kind]
    KIND_UNSPECIFIED: Statistic.Kind
    KIND_COUNT: Statistic.Kind
    KIND_SUM: Statistic.Kind
    KIND_MEAN: Statistic.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    kind: Statistic.Kind
    measure: str
    def __init__(self, kind: _Optional[_Union[Statistic.Kind, str]] = ..., measure: _Optional[str] = ...) -> None: ...

class PlanRequest(_message.Message):
    __slots__ = ("sql", "table")
    SQL_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    sql: str
    table: TableRequest
    def __init__(self, sql: _Optional[str] = ..., table: _Optional[_Union[TableRequest, _Mapping]] = ...) -> None: ...

class PlanResponse(_message.Message):
    __slots__ = ("schema", "charge", "quota_left", "epoch", "agreement")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    CHARGE_FIELD_NUMBER: _ClassVar[int]
    QUOTA_LEFT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    schema: bytes
    charge: int
    quota_left: int
    epoch: str
    agreement: str
    def __init__(self, schema: _Optional[bytes] = ..., charge: _Optional[int] = ..., quota_left: _Optional[int] = ..., epoch: _Optional[str] = ..., agreement: _Optional[str] = ...) -> None: ...

class QueryRequest(_message.Message):
    __slots__ = ("sql", "table", "parameters")
    SQL_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    sql: str
    table: TableRequest
    parameters: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, sql: _Optional[str] = ..., table: _Optional[_Union[TableRequest, _Mapping]] = ..., parameters: _Optional[_Iterable[str]] = ...) -> None: ...

class QueryResponse(_message.Message):
    __slots__ = ("table",)
    TABLE_FIELD_NUMBER: _ClassVar[int]
    table: bytes
    def __init__(self, table: _Optional[bytes] = ...) -> None: ...
