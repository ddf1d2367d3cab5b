from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Agreement(_message.Message):
    __slots__ = ("id", "version", "purpose", "principals", "grants", "not_after", "state", "training_consent")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Agreement.State]
        STATE_ACTIVE: _ClassVar[Agreement.State]
        STATE_SUSPENDED: _ClassVar[Agreement.State]
        STATE_ENDED: _ClassVar[Agreement.State]
    STATE_UNSPECIFIED: Agreement.State
    STATE_ACTIVE: Agreement.State
    STATE_SUSPENDED: Agreement.State
    STATE_ENDED: Agreement.State
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPALS_FIELD_NUMBER: _ClassVar[int]
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TRAINING_CONSENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    version: int
    purpose: str
    principals: _containers.RepeatedScalarFieldContainer[str]
    grants: _containers.RepeatedCompositeFieldContainer[Grant]
    not_after: str
    state: Agreement.State
    training_consent: bool
    def __init__(self, id: _Optional[str] = ..., version: _Optional[int] = ..., purpose: _Optional[str] = ..., principals: _Optional[_Iterable[str]] = ..., grants: _Optional[_Iterable[_Union[Grant, _Mapping]]] = ..., not_after: _Optional[str] = ..., state: _Optional[_Union[Agreement.State, str]] = ..., training_consent: _Optional[bool] = ...) -> None: ...

class Grant(_message.Message):
    __slots__ = ("dataset", "uses")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    uses: _containers.RepeatedCompositeFieldContainer[ColumnUse]
    def __init__(self, dataset: _Optional[str] = ..., uses: _Optional[_Iterable[_Union[ColumnUse, _Mapping]]] = ...) -> None: ...

class ColumnUse(_message.Message):
    __slots__ = ("column", "uses")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    column: str
    uses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, column: _Optional[str] = ..., uses: _Optional[_Iterable[str]] = ...) -> None: ...

class ListAgreementsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAgreementsResponse(_message.Message):
    __slots__ = ("agreements",)
    AGREEMENTS_FIELD_NUMBER: _ClassVar[int]
    agreements: _containers.RepeatedCompositeFieldContainer[Agreement]
    def __init__(self, agreements: _Optional[_Iterable[_Union[Agreement, _Mapping]]] = ...) -> None: ...

class PutAgreementRequest(_message.Message):
    __slots__ = ("agreement", "reason")
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    agreement: Agreement
    reason: str
    def __init__(self, agreement: _Optional[_Union[Agreement, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class PutAgreementResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: str
    def __init__(self, receipt: _Optional[str] = ...) -> None: ...

class SetAgreementStateRequest(_message.Message):
    __slots__ = ("id", "state", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: Agreement.State
    reason: str
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[Agreement.State, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class SetAgreementStateResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: str
    def __init__(self, receipt: _Optional[str] = ...) -> None: ...
