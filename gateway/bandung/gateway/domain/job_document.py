"""The wire form of a job: a JSON object, its canonical bytes, and the signed envelope around it.

The author signs `SIGNATURE_PREFIX` followed by the canonical JSON (RFC 8785) of the job; the SHA-256 of that JSON is
the job's digest, its name everywhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import rfc8785

from bandung.gateway.domain.errors import Refusal
from bandung.gateway.domain.job import Family, Job, Term
from bandung.gateway.domain.party import Principal, Role

SIGNATURE_PREFIX: Final = b"bandung-job/v1\n"
DOCUMENT_BYTES_MAX: Final = 64 * 1024
_MEMBERS_MAX: Final = 200
_FEATURES_MAX: Final = 100
_MEMBER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_CREATED: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_AUTHORS: Final = frozenset({Role.ANALYST, Role.SERVICE})
_T = TypeVar("_T")


class BadJob(ValueError):
    """A job does not hold up.

    Attributes:
        problems: all that is wrong, one short sentence each; they quote the job's own text only.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Envelope:
    """A job with its author's signature, not yet verified.

    Attributes:
        payload: what was signed, prefix included.
        certificate: PEM chain, the author's own certificate first.
        signature: ECDSA with SHA-256, in DER.
    """

    job: Job
    digest: str
    payload: bytes
    certificate: bytes
    signature: bytes


def job_to_document(job: Job) -> dict[str, Any]:
    """Return the job as a JSON object; terms by their names."""
    return {
        "name": job.name,
        "purpose": job.purpose,
        "family": job.family.value,
        "members": list(job.members),
        "datasets": dict(job.datasets),
        "target": job.target.name,
        "features": [term.name for term in job.features],
        "rounds_max": job.rounds_max,
        "tolerance": job.tolerance,
        "cohort_min": job.cohort_min,
        "country_intercepts": job.country_intercepts,
        "holdout": job.holdout,
        "train_units": dict(job.train_units),
        "on_loss": job.on_loss,
        "author": job.author,
        "created": job.created,
    }


def job_from_document(document: Mapping[str, Any]) -> Job:
    """Read a job from its JSON object.

    Raises:
        BadJob: naming everything that is missing, unknown, of the wrong type or out of range.
    """
    reader = _Reader(document)
    job = Job(
        name=reader.text("name", 100),
        purpose=reader.text("purpose", 2000),
        family=Family(reader.choice("family", tuple(family.value for family in Family))),
        members=tuple(reader.texts("members", _MEMBERS_MAX)),
        datasets=tuple(sorted(reader.table("datasets", str).items())),
        target=reader.term("target", document.get("target")),
        features=tuple(reader.term("features", name) for name in reader.texts("features", _FEATURES_MAX)),
        rounds_max=reader.integer("rounds_max", 1, 1000),
        tolerance=reader.number("tolerance", 1e-15, 1.0),
        cohort_min=reader.integer("cohort_min", 2, _MEMBERS_MAX),
        country_intercepts=reader.boolean("country_intercepts"),
        holdout=reader.number("holdout", 0.0, 0.9),
        train_units=tuple(sorted(reader.table("train_units", int).items())),
        on_loss=reader.choice("on_loss", ("pause", "continue")),
        author=reader.text("author", 300),
        created=reader.text("created", 40),
    )
    reader.no_more(frozenset(job_to_document(job)))
    if problems := reader.problems or _contradictions(job):
        raise BadJob(tuple(problems))
    return job


def canonical_job(job: Job) -> bytes:
    """Return the canonical JSON (RFC 8785) of the job."""
    return rfc8785.dumps(job_to_document(job))


def job_digest(job: Job) -> str:
    """Return the SHA-256 of the canonical JSON, hexadecimal."""
    return hashlib.sha256(canonical_job(job)).hexdigest()


def signing_payload(job: Job) -> bytes:
    """Return the bytes that the author signs."""
    return SIGNATURE_PREFIX + canonical_job(job)


def write_envelope(job: Job, certificate: bytes, signature: bytes) -> bytes:
    """Return the envelope: canonical JSON of `job`, `certificate` (PEM) and `signature` (base64 of the DER)."""
    return rfc8785.dumps(
        {
            "job": job_to_document(job),
            "certificate": certificate.decode("ascii"),
            "signature": base64.b64encode(signature).decode("ascii"),
        }
    )


def read_envelope(document: bytes) -> Envelope:
    """Read an envelope. The digest and the signed bytes are computed from what was understood, not taken over.

    Raises:
        BadJob: it is too large, not of the form, or its job does not hold up.
    """
    if len(document) > DOCUMENT_BYTES_MAX:
        raise BadJob((f"the envelope is larger than {DOCUMENT_BYTES_MAX} bytes",))
    try:
        match json.loads(document):
            case {"job": dict(fields), "certificate": str(chain), "signature": str(text), **rest} if not rest:
                job = job_from_document(cast("dict[str, Any]", fields))
                signature = base64.b64decode(text, validate=True)
                return Envelope(job, job_digest(job), signing_payload(job), chain.encode("ascii"), signature)
            case _:
                raise BadJob(("the envelope holds exactly job, certificate and signature",))
    except (RecursionError, UnicodeError, json.JSONDecodeError, binascii.Error) as error:
        raise BadJob(("the envelope is not JSON with a certificate in PEM and a signature in base64",)) from error


def _contradictions(job: Job) -> list[str]:
    """What is wrong between fields that are each well-formed."""
    names = [term.name for term in job.features]
    held = {
        "members: at least two, sorted, without repeats": len(job.members) >= 2
        and list(job.members) == sorted(set(job.members)),
        "members: ids are letters, digits, dots and dashes": all(_MEMBER.fullmatch(m) for m in job.members),
        "datasets: exactly one for each member": tuple(m for m, _ in job.datasets) == job.members,
        "features: at least one, without repeats": bool(names) and len(names) == len(set(names)),
        "features: the target cannot explain itself": job.target.column not in {t.column for t in job.features},
        "target: a gaussian target is a measure": job.family is not Family.GAUSSIAN or job.target.transform != "code",
        "target: a binomial target is x=code, or a measure of zeros and ones": job.family is not Family.BINOMIAL
        or job.target.transform in {"code", "identity"},
        "cohort_min: not more than there are members": job.cohort_min <= len(job.members),
        "train_units: members of the job, at least one unit each": all(
            m in job.members and units >= 1 for m, units in job.train_units
        ),
        "author: the URI of an analyst or a service": _is_author(job.author),
        "created: RFC 3339 date-time, UTC": _CREATED.fullmatch(job.created) is not None,
    }
    return [problem for problem, holds in held.items() if not holds]


def _is_author(uri: str) -> bool:
    try:
        return Principal.from_uri(uri).role in _AUTHORS
    except Refusal:
        return False


class _Reader:
    """Takes fields out of a JSON object and notes every problem instead of stopping at the first."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self.problems: list[str] = []

    def text(self, key: str, length_max: int) -> str:
        value = self._take(key)
        if isinstance(value, str) and value.strip() and len(value) <= length_max:
            return value
        return self._wrong(key, f"text of 1 to {length_max} characters", "")

    def texts(self, key: str, count_max: int) -> list[str]:
        value = self._take(key)
        if isinstance(value, list):
            items = cast("list[object]", value)
            texts = [item for item in items if isinstance(item, str)]
            if len(texts) == len(items) <= count_max:
                return texts
        return self._wrong(key, f"a list of at most {count_max} texts", [])

    def table(self, key: str, kind: type[_T]) -> dict[str, _T]:
        value = self._take(key)
        if isinstance(value, dict):
            entries = cast("dict[object, object]", value)
            fitting = {k: v for k, v in entries.items() if isinstance(k, str) and type(v) is kind}
            if len(fitting) == len(entries):
                return cast("dict[str, _T]", fitting)
        return self._wrong(key, f"a table from member to {'text' if kind is str else 'whole number'}", {})

    def integer(self, key: str, low: int, high: int) -> int:
        value = self._take(key)
        if type(value) is int and low <= value <= high:
            return value
        return self._wrong(key, f"a whole number from {low} to {high}", low)

    def number(self, key: str, low: float, high: float) -> float:
        value = self._take(key)
        if type(value) in (int, float) and low <= value <= high:
            return float(value)
        return self._wrong(key, f"a number from {low:g} to {high:g}", low)

    def boolean(self, key: str) -> bool:
        value = self._take(key)
        return value if isinstance(value, bool) else self._wrong(key, "true or false", False)  # noqa: FBT003

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self._take(key)
        return value if value in choices else self._wrong(key, " or ".join(choices), choices[0])

    def term(self, key: str, name: object) -> Term:
        try:
            return Term.parse(name) if isinstance(name, str) else self._wrong(key, "text", Term("x", "identity"))
        except ValueError as error:
            self.problems.append(f"{key}: {error}")
            return Term("x", "identity")

    def no_more(self, known: frozenset[str]) -> None:
        self.problems += [f"{key}: no such field" for key in sorted(self._document.keys() - known)]

    def _take(self, key: str) -> Any:
        return self._document.get(key)

    def _wrong(self, key: str, wanted: str, instead: _T) -> _T:
        self.problems.append(f"{key}: {'must be ' if key in self._document else 'is missing; '}{wanted}")
        return instead
