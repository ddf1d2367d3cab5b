from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobDecision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_DECISION_UNSPECIFIED: _ClassVar[JobDecision]
    JOB_DECISION_PENDING: _ClassVar[JobDecision]
    JOB_DECISION_CONSENTED: _ClassVar[JobDecision]
    JOB_DECISION_REFUSED: _ClassVar[JobDecision]
    JOB_DECISION_WITHDRAWN: _ClassVar[JobDecision]
JOB_DECISION_UNSPECIFIED: JobDecision
JOB_DECISION_PENDING: JobDecision
JOB_DECISION_CONSENTED: JobDecision
JOB_DECISION_REFUSED: JobDecision
JOB_DECISION_WITHDRAWN: JobDecision

class ProposeJobRequest(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: bytes
    def __init__(self, job: _Optional[bytes] = ...) -> None: ...

class ProposeJobResponse(_message.Message):
    __slots__ = ("digest", "decision", "reason")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    digest: str
    decision: JobDecision
    reason: str
    def __init__(self, digest: _Optional[str] = ..., decision: _Optional[_Union[JobDecision, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("digest", "job", "decision", "reason", "decided_by")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DECIDED_BY_FIELD_NUMBER: _ClassVar[int]
    digest: str
    job: bytes
    decision: JobDecision
    reason: str
    decided_by: str
    def __init__(self, digest: _Optional[str] = ..., job: _Optional[bytes] = ..., decision: _Optional[_Union[JobDecision, str]] = ..., reason: _Optional[str] = ..., decided_by: _Optional[str] = ...) -> None: ...

class DecideJobRequest(_message.Message):
    __slots__ = ("digest", "decision", "reason")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    digest: str
    decision: JobDecision
    reason: str
    def __init__(self, digest: _Optional[str] = ..., decision: _Optional[_Union[JobDecision, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class DecideJobResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: str
    def __init__(self, receipt: _Optional[str] = ...) -> None: ...

class StepRequest(_message.Message):
    __slots__ = ("job_digest", "kind", "round", "cohort", "coefficients")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[StepRequest.Kind]
        KIND_NEWTON: _ClassVar[StepRequest.Kind]
        KIND_EVALUATE: _ClassVar[StepRequest.Kind]
    KIND_UNSPECIFIED: StepRequest.Kind
    KIND_NEWTON: StepRequest.Kind
    KIND_EVALUATE: StepRequest.Kind
    JOB_DIGEST_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    COHORT_FIELD_NUMBER: _ClassVar[int]
    COEFFICIENTS_FIELD_NUMBER: _ClassVar[int]
    job_digest: str
    kind: StepRequest.Kind
    round: int
    cohort: _containers.RepeatedScalarFieldContainer[str]
    coefficients: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, job_digest: _Optional[str] = ..., kind: _Optional[_Union[StepRequest.Kind, str]] = ..., round: _Optional[int] = ..., cohort: _Optional[_Iterable[str]] = ..., coefficients: _Optional[_Iterable[float]] = ...) -> None: ...

class StepResponse(_message.Message):
    __slots__ = ("masked", "metrics", "schema", "receipt")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    MASKED_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    masked: bytes
    metrics: _containers.ScalarMap[str, float]
    schema: _containers.RepeatedScalarFieldContainer[str]
    receipt: str
    def __init__(self, masked: _Optional[bytes] = ..., metrics: _Optional[_Mapping[str, float]] = ..., schema: _Optional[_Iterable[str]] = ..., receipt: _Optional[str] = ...) -> None: ...
