"""What a gateway tells its clients, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from bandung.gateway.domain.budget import Account
    from bandung.gateway.domain.job import Decision
    from bandung.gateway.domain.noise import Noise
    from bandung.gateway.domain.plan import Statistic


@dataclass(frozen=True, slots=True)
class Filter:
    """Records whose dimension has one of some codes, or whose measure lies in a range: give either.

    Attributes:
        low, high: inclusive, as decimal text such as `-12.5`; an empty end is open.
    """

    column: str
    codes: tuple[str, ...] = ()
    low: str = ""
    high: str = ""


@dataclass(frozen=True, slots=True)
class TableRequest:
    """SELECT statistics FROM dataset WHERE filters GROUP BY group_by, ROLLUP (rollup), as values.

    Attributes:
        rollup: dimensions of a declared hierarchy, the coarsest first; each level is charged as a table of its own.
    """

    dataset: str
    group_by: tuple[str, ...]
    statistics: tuple[Statistic, ...]
    filters: tuple[Filter, ...] = ()
    rollup: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A declared column; `role` is `dimension`, `measure` or `weight`.

    Attributes:
        codes: pairs of code and label in the public list's order; empty for measures.
        missing, parent: of dimensions; empty if there is none.
        open: of dimensions without a public code list.
        minimum, maximum: declared range of measures, both inclusive.
    """

    name: str
    label: str
    role: str
    codes: tuple[tuple[str, str], ...]
    missing: str
    parent: str
    minimum: float
    maximum: float
    decimals: int
    unit_of_measurement: str
    open: bool = False


@dataclass(frozen=True, slots=True)
class RegisteredTable:
    """A table that a dataset under `published-tables` answers; see `RegisteredTable` in `catalogue.proto`."""

    group_by: tuple[str, ...]
    statistics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a dataset's answers are protected with; see `Policy` in `catalogue.proto`."""

    kind: str
    min_units: int
    variables_max: int
    mean_cell_min: float
    noise_variance: float
    noise_max: int
    training_allowed: bool
    cohort_min: int
    nano_rho_per_analyst: int = 0
    nano_rho_per_table: int = 0
    nano_rho_per_table_max: int = 0
    delta: float = 0.0
    mechanism: str = ""
    threshold_spread: int = 0
    noise_js: int = 0
    noise: str = ""
    tables: tuple[RegisteredTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """A published dataset that is open to the caller.

    Attributes:
        epoch: `<dataset>@<number>`.
        unit: what a unit of privacy is called.
    """

    name: str
    title: str
    description: str
    licence: str
    country: str
    period: str
    epoch: str
    unit: str
    columns: tuple[Column, ...]
    policy: Policy


@dataclass(frozen=True, slots=True)
class Plan:
    """What a question would give and cost.

    Attributes:
        agreement: id, version and purpose of the agreement that covers the question.
        policy: public name of the release policy.
        cost: what would be charged, by unit (`tables`, `nano_rho`); 0 if the answer is already released. Empty while
            parameters are unbound, and so is all that follows but `left`.
        left: what the caller's own quotas and budgets leave, by unit.
        cells: rows of the answer before LIMIT.
        bytes_about: size of the answer, roughly.
        noise: per statistic, what will be published of the noise.
    """

    schema: pa.Schema
    epoch: str
    agreement: str
    agreement_version: int
    purpose: str
    policy: str
    cost: Mapping[str, int]
    left: Mapping[str, int]
    cells: int
    bytes_about: int
    released: bool
    noise: Noise


@dataclass(frozen=True, slots=True)
class Budget:
    """A dataset's accounts, as far as the caller may see them.

    Attributes:
        policy: public name of the release policy.
    """

    epoch: str
    policy: str
    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """A released table.

    Attributes:
        table: schema metadata as over Flight SQL.
        noise: per statistic, what the published noise implies.
        cost: what was charged, by unit (`tables`, `nano_rho`); 0 for a repeat.
        left: what the caller's own quotas and budgets leave, by unit.
        receipt: of this answer's ledger entry.
        release: of the ledger entry that first released this table.
        exchange: id under which both sides record the exchange.
        bytes_received: size of the answer on the wire, without transport headers.
    """

    table: pa.Table
    member: str
    epoch: str
    policy: str
    noise: Noise
    cost: Mapping[str, int]
    left: Mapping[str, int]
    receipt: str
    release: str
    exchange: str
    bytes_received: int


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A training job as a country knows it.

    Attributes:
        document: the signed envelope; empty in the answer to a proposal.
        decided_by: URI, or `agreement:<id>` for a standing rule; empty while pending or not told.
    """

    digest: str
    decision: Decision
    reason: str
    document: bytes = b""
    decided_by: str = ""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a country released for one step.

    Attributes:
        masked: sums of a Newton step, 24 bytes each; empty for an evaluation.
        metrics: of an evaluation, by name; empty for a Newton step.
        schema: what the elements of `masked` are, in order.
        bytes_sent, bytes_received: sizes on the wire, without transport headers.
    """

    masked: bytes
    metrics: Mapping[str, float]
    schema: tuple[str, ...]
    receipt: str
    bytes_sent: int
    bytes_received: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger entry; `leaf` is the RFC 9162 leaf hash in hexadecimal, `body` canonical JSON."""

    index: int
    leaf: str
    kind: str
    at: str
    exchange: str
    principal: str
    body: str


@dataclass(frozen=True, slots=True)
class Head:
    """Size and root (hexadecimal) of the ledger's Merkle tree, and its signed checkpoint if there is one."""

    size: int
    root: str
    checkpoint: str
