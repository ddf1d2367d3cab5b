"""Jobs as a federation handles them: their values, wire form, and the numbers that are added."""

from bandung.gateway.domain.fixed_point import MODULUS, decode, from_bytes
from bandung.gateway.domain.job import Decision, Family, Job, StepKind, Term
from bandung.gateway.domain.job_document import (
    BadJob,
    Envelope,
    canonical_job,
    job_digest,
    job_from_document,
    job_to_document,
    read_envelope,
    signing_payload,
    write_envelope,
)

__all__ = [
    "MODULUS",
    "BadJob",
    "Decision",
    "Envelope",
    "Family",
    "Job",
    "StepKind",
    "Term",
    "canonical_job",
    "decode",
    "from_bytes",
    "job_digest",
    "job_from_document",
    "job_to_document",
    "read_envelope",
    "signing_payload",
    "write_envelope",
]
