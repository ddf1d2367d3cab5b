from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListDatasetsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDatasetsResponse(_message.Message):
    __slots__ = ("member", "datasets")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    member: str
    datasets: _containers.RepeatedCompositeFieldContainer[Dataset]
    def __init__(self, member: _Optional[str] = ..., datasets: _Optional[_Iterable[_Union[Dataset, _Mapping]]] = ...) -> None: ...

class GetDatasetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetDatasetResponse(_message.Message):
    __slots__ = ("dataset",)
    DATASET_FIELD_NUMBER: _ClassVar[int]
    dataset: Dataset
    def __init__(self, dataset: _Optional[_Union[Dataset, _Mapping]] = ...) -> None: ...

class Dataset(_message.Message):
    __slots__ = ("name", "title", "description", "licence", "country", "period", "epoch", "unit", "columns", "policy")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    name: str
    title: str
    description: str
    licence: str
    country: str
    period: str
    epoch: str
    unit: str
    columns: _containers.RepeatedCompositeFieldContainer[Column]
    policy: Policy
    def __init__(self, name: _Optional[str] = ..., title: _Optional[str] = ..., description: _Optional[str] = ..., licence: _Optional[str] = ..., country: _Optional[str] = ..., period: _Optional[str] = ..., epoch: _Optional[str] = ..., unit: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[Column, _Mapping]]] = ..., policy: _Optional[_Union[Policy, _Mapping]] = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("name", "label", "role", "codes", "missing", "parent", "minimum", "maximum", "decimals", "unit_of_measurement", "open")
    class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ROLE_UNSPECIFIED: _ClassVar[Column.Role]
        ROLE_DIMENSION: _ClassVar[Column.Role]
        ROLE_MEASURE: _ClassVar[Column.Role]
        ROLE_WEIGHT: _ClassVar[Column.Role]
    ROLE_UNSPECIFIED: Column.Role
    ROLE_DIMENSION: Column.Role
    ROLE_MEASURE: Column.Role
    ROLE_WEIGHT: Column.Role
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    DECIMALS_FIELD_NUMBER: _ClassVar[int]
    UNIT_OF_MEASUREMENT_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    name: str
    label: str
    role: Column.Role
    codes: _containers.RepeatedCompositeFieldContainer[Code]
    missing: str
    parent: str
    minimum: float
    maximum: float
    decimals: int
    unit_of_measurement: str
    open: bool
    def __init__(self, name: _Optional[str] = ..., label: _Optional[str] = ..., role: _Optional[_Union[Column.Role, str]] = ..., codes: _Optional[_Iterable[_Union[Code, _Mapping]]] = ..., missing: _Optional[str] = ..., parent: _Optional[str] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ..., decimals: _Optional[int] = ..., unit_of_measurement: _Optional[str] = ..., open: _Optional[bool] = ...) -> None: ...

class Code(_message.Message):
    __slots__ = ("code", "label")
    CODE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    code: str
    label: str
    def __init__(self, code: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("kind", "min_units", "variables_max", "mean_cell_min", "noise_variance", "noise_max", "training_allowed", "cohort_min", "nano_rho_per_analyst", "nano_rho_per_table", "nano_rho_per_table_max", "delta", "mechanism", "threshold_spread", "noise_js", "noise", "tables")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MIN_UNITS_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_MAX_FIELD_NUMBER: _ClassVar[int]
    MEAN_CELL_MIN_FIELD_NUMBER: _ClassVar[int]
    NOISE_VARIANCE_FIELD_NUMBER: _ClassVar[int]
    NOISE_MAX_FIELD_NUMBER: _ClassVar[int]
    TRAINING_ALLOWED_FIELD_NUMBER: _ClassVar[int]
    COHORT_MIN_FIELD_NUMBER: _ClassVar[int]
    NANO_RHO_PER_ANALYST_FIELD_NUMBER: _ClassVar[int]
    NANO_RHO_PER_TABLE_FIELD_NUMBER: _ClassVar[int]
    NANO_RHO_PER_TABLE_MAX_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    MECHANISM_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_SPREAD_FIELD_NUMBER: _ClassVar[int]
    NOISE_JS_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    min_units: int
    variables_max: int
    mean_cell_min: float
    noise_variance: float
    noise_max: int
    training_allowed: bool
    cohort_min: int
    nano_rho_per_analyst: int
    nano_rho_per_table: int
    nano_rho_per_table_max: int
    delta: float
    mechanism: str
    threshold_spread: int
    noise_js: int
    noise: str
    tables: _containers.RepeatedCompositeFieldContainer[RegisteredTable]
    def __init__(self, kind: _Optional[str] = ..., min_units: _Optional[int] = ..., variables_max: _Optional[int] = ..., mean_cell_min: _Optional[float] = ..., noise_variance: _Optional[float] = ..., noise_max: _Optional[int] = ..., training_allowed: _Optional[bool] = ..., cohort_min: _Optional[int] = ..., nano_rho_per_analyst: _Optional[int] = ..., nano_rho_per_table: _Optional[int] = ..., nano_rho_per_table_max: _Optional[int] = ..., delta: _Optional[float] = ..., mechanism: _Optional[str] = ..., threshold_spread: _Optional[int] = ..., noise_js: _Optional[int] = ..., noise: _Optional[str] = ..., tables: _Optional[_Iterable[_Union[RegisteredTable, _Mapping]]] = ...) -> None: ...

class RegisteredTable(_message.Message):
    __slots__ = ("group_by", "statistics")
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    group_by: _containers.RepeatedScalarFieldContainer[str]
    statistics: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, group_by: _Optional[_Iterable[str]] = ..., statistics: _Optional[_Iterable[str]] = ...) -> None: ...
