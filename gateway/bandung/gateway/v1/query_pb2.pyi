from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TableRequest(_message.Message):
    __slots__ = ("dataset", "group_by", "filters", "statistics", "rollup")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    ROLLUP_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    group_by: _containers.RepeatedScalarFieldContainer[str]
    filters: _containers.RepeatedCompositeFieldContainer[Filter]
    statistics: _containers.RepeatedCompositeFieldContainer[Statistic]
    rollup: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, dataset: _Optional[str] = ..., group_by: _Optional[_Iterable[str]] = ..., filters: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ..., statistics: _Optional[_Iterable[_Union[Statistic, _Mapping]]] = ..., rollup: _Optional[_Iterable[str]] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("column", "code", "codes", "range")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    column: str
    code: str
    codes: _containers.RepeatedScalarFieldContainer[str]
    range: Range
    def __init__(self, column: _Optional[str] = ..., code: _Optional[str] = ..., codes: _Optional[_Iterable[str]] = ..., range: _Optional[_Union[Range, _Mapping]] = ...) -> None: ...

class Range(_message.Message):
    __slots__ = ("low", "high")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    low: str
    high: str
    def __init__(self, low: _Optional[str] = ..., high: _Optional[str] = ...) -> None: ...

class Statistic(_message.Message):
    __slots__ = ("kind", "measure", "share")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Statistic.Kind]
        KIND_COUNT: _ClassVar[Statistic.Kind]
        KIND_SUM: _ClassVar[Statistic.Kind]
        KIND_MEAN: _ClassVar[Statistic.Kind]
        KIND_UNITS: _ClassVar[Statistic.Kind]
        KIND_VARIANCE: _ClassVar[Statistic.Kind]
        KIND_STDDEV: _ClassVar[Statistic.Kind]
        KIND_QUANTILE: _ClassVar[Statistic.Kind]
    KIND_UNSPECIFIED: Statistic.Kind
    KIND_COUNT: Statistic.Kind
    KIND_SUM: Statistic.Kind
    KIND_MEAN: Statistic.Kind
    KIND_UNITS: Statistic.Kind
    KIND_VARIANCE: Statistic.Kind
    KIND_STDDEV: Statistic.Kind
    KIND_QUANTILE: Statistic.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    kind: Statistic.Kind
    measure: str
    share: str
    def __init__(self, kind: _Optional[_Union[Statistic.Kind, str]] = ..., measure: _Optional[str] = ..., share: _Optional[str] = ...) -> None: ...

class PlanRequest(_message.Message):
    __slots__ = ("sql", "table", "parameters", "nano_rho")
    SQL_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    NANO_RHO_FIELD_NUMBER: _ClassVar[int]
    sql: str
    table: TableRequest
    parameters: _containers.RepeatedScalarFieldContainer[str]
    nano_rho: int
    def __init__(self, sql: _Optional[str] = ..., table: _Optional[_Union[TableRequest, _Mapping]] = ..., parameters: _Optional[_Iterable[str]] = ..., nano_rho: _Optional[int] = ...) -> None: ...

class PlanResponse(_message.Message):
    __slots__ = ("schema", "epoch", "agreement", "agreement_version", "purpose", "policy", "cost", "left", "cells", "bytes_about", "released", "noise")
    class CostEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class LeftEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    BYTES_ABOUT_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    schema: bytes
    epoch: str
    agreement: str
    agreement_version: int
    purpose: str
    policy: str
    cost: _containers.ScalarMap[str, int]
    left: _containers.ScalarMap[str, int]
    cells: int
    bytes_about: int
    released: bool
    noise: _containers.RepeatedCompositeFieldContainer[StatisticNoise]
    def __init__(self, schema: _Optional[bytes] = ..., epoch: _Optional[str] = ..., agreement: _Optional[str] = ..., agreement_version: _Optional[int] = ..., purpose: _Optional[str] = ..., policy: _Optional[str] = ..., cost: _Optional[_Mapping[str, int]] = ..., left: _Optional[_Mapping[str, int]] = ..., cells: _Optional[int] = ..., bytes_about: _Optional[int] = ..., released: _Optional[bool] = ..., noise: _Optional[_Iterable[_Union[StatisticNoise, _Mapping]]] = ...) -> None: ...

class StatisticNoise(_message.Message):
    __slots__ = ("statistic", "published")
    class PublishedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    STATISTIC_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    statistic: str
    published: _containers.ScalarMap[str, float]
    def __init__(self, statistic: _Optional[str] = ..., published: _Optional[_Mapping[str, float]] = ...) -> None: ...

class QueryRequest(_message.Message):
    __slots__ = ("sql", "table", "parameters", "nano_rho")
    SQL_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    NANO_RHO_FIELD_NUMBER: _ClassVar[int]
    sql: str
    table: TableRequest
    parameters: _containers.RepeatedScalarFieldContainer[str]
    nano_rho: int
    def __init__(self, sql: _Optional[str] = ..., table: _Optional[_Union[TableRequest, _Mapping]] = ..., parameters: _Optional[_Iterable[str]] = ..., nano_rho: _Optional[int] = ...) -> None: ...

class QueryResponse(_message.Message):
    __slots__ = ("table",)
    TABLE_FIELD_NUMBER: _ClassVar[int]
    table: bytes
    def __init__(self, table: _Optional[bytes] = ...) -> None: ...

class ShowBudgetRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ShowBudgetResponse(_message.Message):
    __slots__ = ("datasets",)
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedCompositeFieldContainer[DatasetBudget]
    def __init__(self, datasets: _Optional[_Iterable[_Union[DatasetBudget, _Mapping]]] = ...) -> None: ...

class DatasetBudget(_message.Message):
    __slots__ = ("epoch", "policy", "accounts")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    policy: str
    accounts: _containers.RepeatedCompositeFieldContainer[Account]
    def __init__(self, epoch: _Optional[str] = ..., policy: _Optional[str] = ..., accounts: _Optional[_Iterable[_Union[Account, _Mapping]]] = ...) -> None: ...

class Account(_message.Message):
    __slots__ = ("scope", "spent", "cap", "epsilon_spent", "epsilon_cap")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    CAP_FIELD_NUMBER: _ClassVar[int]
    EPSILON_SPENT_FIELD_NUMBER: _ClassVar[int]
    EPSILON_CAP_FIELD_NUMBER: _ClassVar[int]
    scope: str
    spent: int
    cap: int
    epsilon_spent: float
    epsilon_cap: float
    def __init__(self, scope: _Optional[str] = ..., spent: _Optional[int] = ..., cap: _Optional[int] = ..., epsilon_spent: _Optional[float] = ..., epsilon_cap: _Optional[float] = ...) -> None: ...
