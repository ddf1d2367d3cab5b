"""One country's side of a training job: proposals, consent, and steps whose sums leave masked."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.job import Decision, JobRecord, SignedJob, StepKind
from bandung.gateway.domain.job_document import BadJob, Envelope, read_envelope
from bandung.gateway.domain.ledger import AlreadyAnswered, Commit, EventKind, Receipt, StoredAnswer
from bandung.gateway.domain.party import Role
from bandung.gateway.service.record import Attempt, Recorder
from bandung.gateway.service.training_permit import JobPermits, PermittedJob
from bandung.gateway.service.training_step import StepAnswer, StepRequest, charges_of, check_request
from bandung.gateway.service.training_view import TrainingViews
from bandung.gateway.training import answers
from bandung.gateway.training.evaluate import evaluate
from bandung.gateway.training.gates import check_design, check_weights
from bandung.gateway.training.masks import MaskKeys, Round, mask
from bandung.gateway.training.newton import newton_sums

if TYPE_CHECKING:
    from bandung.connectors.base import Stop
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.party import Principal
    from bandung.gateway.domain.release import ReleasedVector
    from bandung.gateway.service.ports import (
        Agreements,
        AuthorVerifier,
        Catalogue,
        Clock,
        Epochs,
        Jobs,
        Ledger,
        Secrets,
    )

_RULE = "agreement:"
_TRANSITIONS = {
    Decision.PENDING: {Decision.CONSENTED, Decision.REFUSED},
    Decision.CONSENTED: {Decision.WITHDRAWN},
    Decision.REFUSED: frozenset[Decision](),
    Decision.WITHDRAWN: frozenset[Decision](),
}


class TrainingDesk:
    """Takes jobs in, keeps decisions, answers steps. Safe for use by several threads at once."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        agreements: Agreements,
        jobs: Jobs,
        ledger: Ledger,
        epochs: Epochs,
        secrets: Secrets,
        clock: Clock,
        authors: AuthorVerifier,
        keys: MaskKeys,
    ) -> None:
        self._permits = JobPermits(catalogue, agreements, clock, keys)
        self._jobs = jobs
        self._ledger = ledger
        self._authors = authors
        self._keys = keys
        self._views = TrainingViews(keys.member, epochs, secrets)
        self._proposals = Recorder(ledger, clock, EventKind.JOB_REJECTED, EventKind.JOB_REJECTED)
        self._steps = Recorder(ledger, clock, EventKind.STEP_REFUSED, EventKind.STEP_FAILED)
        self._deciding = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}

    def propose(self, principal: Principal, document: bytes, exchange: str) -> JobRecord:
        """Make a signed job known; a job that is known already is returned as it stands.

        Raises:
            Refusal: JOB_INVALID, or why no agreement of the author covers it; on the record.
        """
        with self._proposals.attempt(principal.uri, exchange) as attempt, self._deciding:
            envelope = _read(document)
            attempt.about = {"job": envelope.digest, "author": envelope.job.author}
            known = self._jobs.get(envelope.digest)
            job = envelope.job
            # A courier asks again until it is decided, maybe beyond the author's certificate; nobody else may ask so.
            if known is None or principal.role is not Role.COURIER:
                self._authors.verify(envelope.certificate, envelope.signature, envelope.payload, job.author)
            if known is not None:
                return known
            permitted = self._permits.permit(job)
            record = JobRecord(_signed(envelope, document), Decision.PENDING, epoch=permitted.epoch.id)
            return self._admit(permitted, record, principal, exchange)

    def jobs(self, principal: Principal) -> tuple[JobRecord, ...]:
        """Return the jobs known here, newest first: all of them to this country's own officers, else one's own."""
        everything = principal.role in {Role.CUSTODIAN, Role.OPERATOR, Role.AUDITOR}
        return tuple(r for r in self._jobs.all() if everything or r.signed.job.author == principal.uri)

    def decide(self, principal: Principal, digest: str, decision: Decision, reason: str, exchange: str) -> Receipt:
        """Consent to a job, refuse it, or withdraw an earlier consent; later steps see the decision at once.

        Raises:
            Refusal: METHOD_DENIED to all but a custodian; BAD_REQUEST without a reason, for an unknown job, or for a
                decision that cannot follow the last one; on the record.
        """
        with self._proposals.attempt(principal.uri, exchange) as attempt, self._deciding:
            attempt.about = {"job": digest, "decision": decision.value}
            if principal.role is not Role.CUSTODIAN:
                raise Refusal(ErrorKind.METHOD_DENIED)
            if not reason.strip():
                raise Refusal(ErrorKind.BAD_REQUEST, "A decision needs a reason.")
            record = self._jobs.get(digest)
            if record is None:
                raise Refusal(ErrorKind.BAD_REQUEST, "No job of that digest is known here.")
            confirms = decision is Decision.CONSENTED and record.decision is decision and _by_rule(record)
            if decision not in _TRANSITIONS[record.decision] and not confirms:
                raise Refusal(ErrorKind.BAD_REQUEST, f"{decision.value} cannot follow {record.decision.value}.")
            decided = replace(
                record, decision=decision, reason=reason, decided_by=principal.uri, epoch=self._epoch_of(record)
            )
            return self._put(decided, EventKind.JOB_DECIDED, principal, exchange)

    def step(self, principal: Principal, request: StepRequest, exchange: str, stop: Stop) -> StepAnswer:
        """Answer one step; the record is durable before this returns. A repeat is free and identical.

        Raises:
            Refusal: on the record; the charge is kept if the records had been read.
        """
        with self._steps.attempt(principal.uri, exchange) as attempt:
            attempt.about = request.about
            record, permitted = self._permitted(request.job_digest)
            check_request(request, self._keys.member, permitted.job, permitted.epoch)
            with self._turns.setdefault(request.job_digest, threading.Lock()):
                stored = self._ledger.answer(request.key)
                if stored is not None:
                    return self._repeat(principal, request, stored, exchange)
                try:
                    return self._answer(principal, request, record.signed, permitted, attempt, exchange, stop)
                except AlreadyAnswered as simultaneous:  # by another process on the same ledger
                    return self._repeat(principal, request, simultaneous.stored, exchange)

    def _admit(self, permitted: PermittedJob, record: JobRecord, principal: Principal, exchange: str) -> JobRecord:
        self._put(record, EventKind.JOB_PROPOSED, principal, exchange)
        if not permitted.permit.training_consent:
            return record
        rule = f"{_RULE}{permitted.permit.agreement}"
        consented = replace(record, decision=Decision.CONSENTED, reason="standing rule", decided_by=rule)
        self._put(consented, EventKind.JOB_DECIDED, principal, exchange)
        return consented

    def _epoch_of(self, record: JobRecord) -> str:
        """Return what a decision is about: the data as they are when a job is first decided."""
        current = self._permits.catalogue.current(record.signed.job.dataset_of(self._keys.member))
        return current.id if current and record.decision is Decision.PENDING else record.epoch

    def _put(self, record: JobRecord, kind: EventKind, principal: Principal, exchange: str) -> Receipt:
        job = record.signed.job
        body = {
            "job": record.signed.digest,
            "name": job.name,
            "purpose": job.purpose,
            "author": job.author,
            "dataset": job.dataset_of(self._keys.member),
            "epoch": record.epoch,
            "decision": record.decision.value,
            "reason": record.reason,
            "decided_by": record.decided_by,
        }
        return self._jobs.put(record, Commit(self._proposals.event(kind, principal.uri, exchange, body)))

    def _consented(self, digest: str) -> JobRecord:
        record = self._jobs.get(digest)
        if record is None:
            raise Refusal(ErrorKind.JOB_INVALID, "The job is not known here: propose it first.")
        if record.decision is Decision.PENDING:
            raise Refusal(ErrorKind.CONSENT_REQUIRED)
        if record.decision is not Decision.CONSENTED:
            raise Refusal(ErrorKind.CONSENT_REFUSED, record.reason)
        return record

    def _permitted(self, digest: str) -> tuple[JobRecord, PermittedJob]:
        """Return a job that is consented to and covered as things stand now."""
        record = self._consented(digest)
        permitted = self._permits.permit(record.signed.job)
        if _by_rule(record) and not permitted.permit.training_consent:
            raise Refusal(ErrorKind.CONSENT_REQUIRED, "The standing rule that consented is no longer in force.")
        if permitted.epoch.id != record.epoch:
            raise Refusal(ErrorKind.JOB_INVALID, f"Consent was to {record.epoch}, which was replaced: sign a new job.")
        return record, permitted

    def _repeat(self, principal: Principal, request: StepRequest, stored: StoredAnswer, exchange: str) -> StepAnswer:
        if stored.request_digest != request.digest:
            raise Refusal(ErrorKind.STEP_OUT_OF_ORDER)
        body = {**request.about, "answer": hashlib.sha256(stored.content).hexdigest()}
        receipt = self._ledger.commit(Commit(self._steps.event(EventKind.STEP_REPEATED, principal.uri, exchange, body)))
        return StepAnswer(answers.from_bytes(stored.content), stored.receipt or receipt)

    def _answer(
        self,
        principal: Principal,
        request: StepRequest,
        signed: SignedJob,
        permitted: PermittedJob,
        attempt: Attempt,
        exchange: str,
        stop: Stop,
    ) -> StepAnswer:
        charges = charges_of(request, permitted.job, permitted.epoch)
        attempt.begin(charges, self._ledger)
        vector = self._compute(request, signed, permitted.epoch, stop)
        content = answers.to_bytes(vector)
        body = {
            **request.about,
            "epoch": permitted.epoch.id,
            "agreement": permitted.permit.agreement,
            "agreement_version": permitted.permit.agreement_version,
            "purpose": permitted.permit.purpose,
            "answer": hashlib.sha256(content).hexdigest(),
        }
        # Consent may have been withdrawn while the sums were computed, or an agreement suspended: then they stay here.
        self._permitted(request.job_digest)
        event = self._steps.event(EventKind.STEP_ANSWERED, principal.uri, exchange, body)
        receipt = self._ledger.commit(Commit(event, charges, StoredAnswer(request.key, request.digest, content)))
        return StepAnswer(vector, receipt)

    def _compute(self, request: StepRequest, signed: SignedJob, epoch: Epoch, stop: Stop) -> ReleasedVector:
        job, rules = signed.job, epoch.dataset.training
        view = self._views.get(epoch, signed, stop)
        check_design(view.train, job, rules)
        coefficients = np.array(request.coefficients, dtype=np.float64)
        # Coefficients are a stranger's: sums may overflow, and `mask` and `evaluate` refuse what is not finite.
        with np.errstate(over="ignore", invalid="ignore"):
            if request.kind is StepKind.EVALUATE:
                return evaluate(view, job, coefficients, rules)
            sums = newton_sums(view.train, job.family, coefficients)
            check_weights(view.train, sums.weights, rules)
            return mask(sums, job.newton_schema, Round(signed.digest, request.round, request.cohort), self._keys)


def _by_rule(record: JobRecord) -> bool:
    return record.decided_by.startswith(_RULE)


def _read(document: bytes) -> Envelope:
    try:
        return read_envelope(document)
    except BadJob as error:
        raise Refusal(ErrorKind.JOB_INVALID, f"{error}.") from error


def _signed(envelope: Envelope, document: bytes) -> SignedJob:
    return SignedJob(envelope.job, envelope.digest, document)
