"""Every error a gateway can answer with.

    Refusal                      the one exception that may cross the wire
    └── ErrorKind                one row of the catalogue: code, meaning, remedy, status

Codes are stable: a code is never reused for another meaning. Public words depend only on the request's text, the
declarations and the agreements; what depends on data is one code (`PROTECTED`) with one text, and its detail goes to
the operator's log alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """How an error travels: the names of the gRPC status codes that are used."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    UNAVAILABLE = "UNAVAILABLE"
    CANCELLED = "CANCELLED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """A row of the error catalogue."""

    code: str
    status: Status
    meaning: str
    remedy: str


class ErrorKind(Enum):
    """The catalogue. `docs/errors.md` has a heading for each code, and a test compares them."""

    # B1xx: who asks, and over which method
    NO_IDENTITY = ErrorSpec(
        "B101",
        Status.UNAUTHENTICATED,
        "The client certificate carries no single, well-formed Bandung identity.",
        "Use a certificate with exactly one URI name spiffe://<trust domain>/<role>/<name>.",
    )
    UNTRUSTED_IDENTITY = ErrorSpec(
        "B102",
        Status.UNAUTHENTICATED,
        "The certificate is not valid under the trust domain that it names.",
        "Ask your own country's gateway operator for a fresh certificate; check that it has not expired.",
    )
    METHOD_DENIED = ErrorSpec(
        "B103",
        Status.PERMISSION_DENIED,
        "Your role may not call this method.",
        "docs/methods.md lists the roles of each method.",
    )
    TOO_MANY_CALLS = ErrorSpec(
        "B105",
        Status.RESOURCE_EXHAUSTED,
        "You have too many calls under way at this gateway.",
        "Wait until one of your calls has finished.",
    )
    # B2xx: what is asked (depends on the text, the declarations and the agreements only)
    SYNTAX = ErrorSpec(
        "B201",
        Status.INVALID_ARGUMENT,
        "The statement cannot be read.",
        "Write SELECT dimensions, aggregates FROM dataset [WHERE …] GROUP BY dimensions.",
    )
    NOT_IN_GRAMMAR = ErrorSpec(
        "B202",
        Status.INVALID_ARGUMENT,
        "The statement uses something outside the closed grammar.",
        "docs/grammar.md shows every allowed form.",
    )
    UNKNOWN_DATASET = ErrorSpec(
        "B203",
        Status.NOT_FOUND,
        "No published dataset of that name is open to you here.",
        "List the datasets that are: `bandung datasets`, or the catalogue of your SQL client.",
    )
    UNKNOWN_COLUMN = ErrorSpec(
        "B204",
        Status.INVALID_ARGUMENT,
        "The dataset declares no such column.",
        "The message lists the declared columns that fit.",
    )
    WRONG_ROLE = ErrorSpec(
        "B205",
        Status.INVALID_ARGUMENT,
        "The column's declared role does not allow this use.",
        "Group by dimensions, aggregate measures; docs/grammar.md shows how each is filtered.",
    )
    UNKNOWN_CODE = ErrorSpec(
        "B206",
        Status.INVALID_ARGUMENT,
        "The value is not one that the column is declared to have.",
        "Use a code that the catalogue lists for the column, or a number in its declared range.",
    )
    BAD_PARAMETER = ErrorSpec(
        "B207",
        Status.INVALID_ARGUMENT,
        "The parameters do not fit the statement.",
        "Bind exactly one row with one value for each placeholder.",
    )
    TOO_LARGE = ErrorSpec(
        "B208",
        Status.INVALID_ARGUMENT,
        "The request is over a size limit.",
        "Stay within the limit that the message names.",
    )
    TOO_MANY_VARIABLES = ErrorSpec(
        "B209",
        Status.FAILED_PRECONDITION,
        "The table uses more variables than the dataset's policy allows.",
        "Drop a dimension or a filter; filters count as variables.",
    )
    TOO_SPARSE = ErrorSpec(
        "B210",
        Status.FAILED_PRECONDITION,
        "The table would have too few records per cell on average.",
        "Use fewer or coarser dimensions.",
    )
    BAD_REQUEST = ErrorSpec(
        "B211",
        Status.INVALID_ARGUMENT,
        "The request is not well-formed.",
        "Correct what the message names.",
    )
    BAD_HANDLE = ErrorSpec(
        "B212",
        Status.INVALID_ARGUMENT,
        "The ticket or prepared handle is not from this gateway, not yours, or expired.",
        "Ask for a new one.",
    )
    NOT_OFFERED = ErrorSpec(
        "B213",
        Status.UNIMPLEMENTED,
        "The gateway does not offer this operation.",
        "The gateway is read-only and answers aggregates; see docs/flight-sql.md.",
    )
    NOT_UNDER_POLICY = ErrorSpec(
        "B214",
        Status.FAILED_PRECONDITION,
        "The dataset's release policy does not offer this.",
        "The message names the nearest form that the policy does offer.",
    )
    # B3xx: what the country allows
    NO_AGREEMENT = ErrorSpec(
        "B301",
        Status.PERMISSION_DENIED,
        "No agreement in force covers this use.",
        "Ask the custodian for an agreement that covers the dataset, columns and operation named.",
    )
    SUSPENDED = ErrorSpec(
        "B302",
        Status.PERMISSION_DENIED,
        "The country has suspended the agreement.",
        "Write to the custodian; nothing can be asked until the agreement is resumed.",
    )
    QUOTA_EXHAUSTED = ErrorSpec(
        "B303",
        Status.RESOURCE_EXHAUSTED,
        "The request would be charged more than is left of a quota.",
        "Ask the custodian about a new quota; tables answered before stay free.",
    )
    CONSENT_REQUIRED = ErrorSpec(
        "B304",
        Status.FAILED_PRECONDITION,
        "The country has not yet consented to this training job.",
        "Wait for the custodian's decision; the job goes on by itself after it.",
    )
    CONSENT_REFUSED = ErrorSpec(
        "B305",
        Status.PERMISSION_DENIED,
        "The country refused this training job or withdrew its consent.",
        "The message gives the custodian's reason.",
    )
    JOB_INVALID = ErrorSpec(
        "B306",
        Status.INVALID_ARGUMENT,
        "The training job does not hold up: form, signature, cohort, columns or limits.",
        "Correct what the message names and sign the job again.",
    )
    STEP_OUT_OF_ORDER = ErrorSpec(
        "B307",
        Status.FAILED_PRECONDITION,
        "This step of the job was already answered with other contents, or its round is not allowed.",
        "Start a new round number; a mask is never used twice.",
    )
    # B4xx: what the data do not permit, and failures
    PROTECTED = ErrorSpec(
        "B401",
        Status.FAILED_PRECONDITION,
        "The request cannot be answered without endangering confidentiality, or it failed.",
        "Ask for a coarser table or a smaller model. The charge is kept.",
    )
    INTERNAL = ErrorSpec(
        "B402",
        Status.INTERNAL,
        "The gateway could not complete the request.",
        "Tell the operator the time and the exchange id; details are in the gateway's own log.",
    )
    CANCELLED = ErrorSpec("B403", Status.CANCELLED, "The request was cancelled.", "Ask again when you want it.")
    DEADLINE_EXCEEDED = ErrorSpec(
        "B404",
        Status.DEADLINE_EXCEEDED,
        "The request was not finished by its deadline. The charge is kept.",
        "Ask again with a longer deadline; what was answered once is free.",
    )
    SEALED = ErrorSpec(
        "B405",
        Status.UNAVAILABLE,
        "The gateway is sealed: its ledger cannot be written, so it answers nothing.",
        "The operator must look at the gateway's log and storage.",
    )
    DRAINING = ErrorSpec(
        "B406",
        Status.UNAVAILABLE,
        "The gateway is shutting down or starting.",
        "Try again in a moment.",
    )
    # B5xx: said to a custodian or an operator at home
    BAD_DECLARATION = ErrorSpec(
        "B501",
        Status.INVALID_ARGUMENT,
        "The declaration file is not valid.",
        "Correct the keys that the message names; docs/datasets.md describes each.",
    )
    DATA_VIOLATES_DECLARATION = ErrorSpec(
        "B502",
        Status.FAILED_PRECONDITION,
        "The data do not hold what the declaration says.",
        "`bandung dataset check FILE` lists every violation with its count.",
    )
    SOURCE_UNAVAILABLE = ErrorSpec(
        "B503",
        Status.UNAVAILABLE,
        "The data source cannot be opened or read.",
        "Check the connector's settings in the declaration; details are in the log.",
    )
    BAD_CONFIGURATION = ErrorSpec(
        "B504",
        Status.FAILED_PRECONDITION,
        "The node's configuration is not usable.",
        "Correct the setting that the message names.",
    )
    NOT_LIVE = ErrorSpec(
        "B505",
        Status.FAILED_PRECONDITION,
        "The source cannot serve this dataset live.",
        "Publish a snapshot, or provide a record key column or a place to write one.",
    )
    UNSAFE_TABLES = ErrorSpec(
        "B506",
        Status.FAILED_PRECONDITION,
        "The registered tables cannot be protected: from what they would show, withheld numbers could be worked out.",
        "Coarsen the tables, or let more cells be withheld; `bandung dataset tables FILE` lists what gives way.",
    )
    POLICY_MIXED = ErrorSpec(
        "B507",
        Status.FAILED_PRECONDITION,
        "The same rows are published under another release policy already.",
        "Publish them under the same kind of policy, declare a view, or withdraw the other dataset first.",
    )

    @property
    def spec(self) -> ErrorSpec:
        """The catalogue row."""
        return self.value


class Refusal(Exception):
    """The gateway says no, and why.

    Attributes:
        kind: row of the catalogue.
        detail: what was wrong in this request; public, never depends on data.
        remedy: what to do; the catalogue's remedy unless a nearer one is known.
        position: 1-based (line, column) in the statement, if the error has a place there.
        private: for the operator's log only.
    """

    def __init__(
        self,
        kind: ErrorKind,
        detail: str = "",
        *,
        remedy: str | None = None,
        position: tuple[int, int] | None = None,
        private: str = "",
    ) -> None:
        self.kind = kind
        self.detail = detail
        self.remedy = remedy or kind.spec.remedy
        self.position = position
        self.private = private
        super().__init__(self.message)

    @property
    def code(self) -> str:
        """The stable code, for instance `B209`."""
        return self.kind.spec.code

    @property
    def message(self) -> str:
        """The whole public text: code, meaning, detail, their place, remedy."""
        said = f"{self.kind.spec.meaning} {self.detail}".rstrip(". ")
        place = f" (line {self.position[0]}, column {self.position[1]})" if self.position else ""
        return f"{self.code}: {said}{place}. {self.remedy}"
