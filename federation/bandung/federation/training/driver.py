"""The driver of a job: from its document to its model card, through lost countries, refusals and crashes.

It is a state machine over `Phase`: every change of phase is an event, everything worth remembering is in the checkpoint
before the next message goes out. A round number stands for one cohort and one set of coefficients: asked again, after
a loss or a crash, it is the same request, which costs the countries nothing and gets the same masked answer; anything
else takes a new number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from bandung.federation.domain.calls import BadCall, Step, Stepped
from bandung.federation.domain.progress import Phase, Progress, follows
from bandung.federation.training.exchange import Answer, JobState, Lost, Refused, Reply
from bandung.federation.training.muster import GaveUp, Muster, Pace
from bandung.federation.training.report import card_of
from bandung.federation.training.solve import Unsolvable, advance, unmask
from bandung.gateway.client.jobs import BadJob, Envelope, StepKind, read_envelope

if TYPE_CHECKING:
    from bandung.federation.training.exchange import Exchange, Journal

_OUT_OF_ORDER: Final = "B307"
_LOST: Final = "lost while the job ran"
_ATTEMPTS_MAX: Final = 2000


class TooFew(Exception):
    """Too few countries take part; the text says who does not, and why."""


def drive(
    job_bytes: bytes,
    exchange: Exchange,
    journal: Journal,
    pace: Pace = Pace(),  # noqa: B008  (frozen)
    wait: Callable[[float], None] = sleep,
) -> None:
    """Drive a job to its end: COMPLETED with a card, FAILED, or PAUSED when the patience is over.

    Args:
        job_bytes: the signed envelope.
        wait: waits for some seconds.
    """
    try:
        envelope = read_envelope(job_bytes)
    except BadJob as error:
        journal.event({"type": "state", "state": JobState.FAILED, "reason": f"the job does not hold up: {error}"})
        return
    Driver(envelope, job_bytes, exchange, journal, pace, wait).run()


class Driver:
    """Drives one job; see `drive`."""

    def __init__(
        self,
        envelope: Envelope,
        document: bytes,
        exchange: Exchange,
        journal: Journal,
        pace: Pace,
        wait: Callable[[float], None],
    ) -> None:
        self._job = envelope.job
        self._digest = envelope.digest
        self._exchange = exchange
        self._journal = journal
        self._pace = pace
        self._wait = wait
        self._began = monotonic()
        self._muster = Muster(document, exchange, self._waiting, pace, wait)
        stored = journal.load_checkpoint()
        self._progress = (
            Progress.from_json(stored) if stored else Progress(coefficients=(0.0,) * len(self._job.parameters))
        )
        self._earlier = (self._progress.traffic, self._progress.seconds)
        self._phase = Phase.WAITING
        self._losses = 0

    def run(self) -> None:
        """Go through the phases until one of the ends."""
        try:
            ready = self._begin()
            if self._progress.fitted is None:
                ready = self._fit(ready)
            self._evaluate(ready)
            self._finish()
        except TooFew as error:
            self._end(Phase.REFUSED, JobState.FAILED, str(error))
        except Unsolvable as error:
            self._end(Phase.FAILED, JobState.FAILED, str(error))
        except GaveUp as error:
            self._journal.event({"type": "state", "state": JobState.PAUSED, "reason": str(error)})

    def _begin(self) -> frozenset[str]:
        """Bring together everybody who has not left the job."""
        wanted = frozenset(self._job.members) - self._progress.out.keys()
        self._waiting(Phase.WAITING, "")
        enough = (lambda ready: len(ready) >= self._job.cohort_min) if self._job.on_loss == "continue" else None
        ready, refused = self._muster.gather(wanted, enough=enough)
        self._leave(refused)
        if enough and len(ready) >= self._job.cohort_min:
            self._leave(dict.fromkeys(wanted - ready - refused.keys(), "not there when the job began"))
        return self._enough(ready)

    def _fit(self, ready: frozenset[str]) -> frozenset[str]:
        """Take Newton steps until the model stands; return who took part in the last one."""
        self._move(Phase.RUNNING)
        for _ in range(_ATTEMPTS_MAX):
            cohort = tuple(sorted(ready))
            self._open_round(cohort)
            replies = self._ask(StepKind.NEWTON, cohort, cohort)
            answers = self._stepped(replies)
            if len(answers) == len(cohort):
                self._advance(answers, cohort)
                if self._progress.fitted is not None:
                    self._open_round(cohort)
                    return ready
            else:
                ready = self._regroup(ready, replies)
        raise GaveUp(f"the model is not there after {_ATTEMPTS_MAX} rounds, lost ones included")

    def _open_round(self, cohort: tuple[str, ...]) -> None:
        if self._progress.open_cohort != cohort:
            self._progress = replace(self._progress, round=self._progress.round + 1, open_cohort=cohort)
            self._remember()

    def _advance(self, answers: Mapping[str, Stepped], cohort: tuple[str, ...]) -> None:
        moments = unmask(self._job, (answer.masked for answer in answers.values()))
        receipts = tuple(self._receipt(member, "newton", answer) for member, answer in answers.items())
        progress = advance(self._job, self._progress, moments, cohort)
        self._progress = replace(progress, receipts=(*progress.receipts, *receipts), open_cohort=())
        self._losses = 0
        self._remember()
        last = progress.taken[-1]
        self._journal.event(
            {"type": "step", "step": len(progress.taken), "round": last.round, "fit": last.fit, "change": last.change}
        )

    def _regroup(self, ready: frozenset[str], replies: Mapping[str, Reply]) -> frozenset[str]:
        """Return with whom to try again: without those who refused, and with or without those who were lost."""
        self._leave(_refusals(replies))
        if any(isinstance(reply, Refused) and reply.code == _OUT_OF_ORDER for reply in replies.values()):
            # Some country has answered this number before, with other contents: this checkpoint is older than that.
            self._progress = replace(self._progress, open_cohort=())
        lost = frozenset(member for member, reply in replies.items() if isinstance(reply, Lost))
        left = self._enough(ready - self._progress.out.keys())
        if lost and self._job.on_loss == "continue" and len(left - lost) >= self._job.cohort_min:
            self._leave(dict.fromkeys(lost, _LOST))
            left -= lost
        elif lost:
            back, refused = self._wait_for(lost)
            self._leave(refused)
            left = self._enough((left - lost) | back)
        if left != ready:
            # Fits of different cohorts do not compare.
            self._progress = replace(self._progress, accepted=None, halvings=0)
        return left

    def _wait_for(self, lost: frozenset[str]) -> tuple[frozenset[str], dict[str, str]]:
        """Wait until the lost are back or refuse; longer every time, should they answer proposals but not steps."""
        resumed = self._phase
        self._move(Phase.PAUSED, f"lost: {', '.join(sorted(lost))}")
        self._wait(min(self._pace.poll_s_max, self._pace.poll_s * 1.5 ** min(self._losses, 20)))
        self._losses += 1
        gathered = self._muster.gather(lost, phase=Phase.PAUSED)
        self._move(resumed)
        return gathered

    def _evaluate(self, ready: frozenset[str]) -> None:
        """Have each country measure the model; one that refuses is reported, not missed."""
        self._move(Phase.EVALUATING)
        cohort = self._progress.taken[-1].cohort
        missing = frozenset(cohort) & ready - self._progress.evaluations.keys()
        while missing:
            replies = self._ask(StepKind.EVALUATE, tuple(sorted(missing)), cohort)
            for member, answer in self._stepped(replies).items():
                self._note_evaluation(member, {"metrics": dict(answer.metrics)})
                receipt = self._receipt(member, "evaluate", answer)
                self._progress = replace(self._progress, receipts=(*self._progress.receipts, receipt))
            refused = {m: _words(reply) for m, reply in replies.items() if isinstance(reply, Refused)}
            lost = frozenset(m for m, reply in replies.items() if isinstance(reply, Lost))
            if lost and self._job.on_loss == "continue":
                refused |= dict.fromkeys(lost, _LOST)
            elif lost:
                refused |= self._wait_for(lost)[1]
            for member, reason in refused.items():
                self._note_evaluation(member, {"refused": reason})
            self._remember()
            missing -= self._progress.evaluations.keys()

    def _finish(self) -> None:
        self._remember()
        self._journal.card(card_of(self._job, self._digest, self._progress))
        self._end(Phase.FINISHED, JobState.COMPLETED, "")

    def _ask(
        self, kind: StepKind, members: tuple[str, ...], cohort: tuple[str, ...] | None = None
    ) -> Mapping[str, Reply]:
        number = self._progress.round
        call = Step(self._digest, kind, number, cohort or members, self._progress.coefficients).to_bytes()
        step = len(self._progress.taken) + (kind is StepKind.NEWTON)

        def on_reply(member: str, reply: Reply) -> None:
            self._journal.event(
                {
                    "type": "round",
                    "kind": kind.value,
                    "round": number,
                    "step": step,
                    "rounds_max": self._job.rounds_max,
                    "member": member,
                    "outcome": type(reply).__name__.lower(),
                    "bytes": len(call) + (len(reply.payload) if isinstance(reply, Answer) else 0),
                    **({} if isinstance(reply, Answer) else {"reason": _words(reply)}),
                }
            )

        return self._exchange.ask(dict.fromkeys(members, call), self._pace.answer_s_max, on_reply)

    def _stepped(self, replies: Mapping[str, Reply]) -> dict[str, Stepped]:
        """Return the answers, by member in order."""
        try:
            return {m: Stepped.from_bytes(r.payload) for m, r in sorted(replies.items()) if isinstance(r, Answer)}
        except BadCall as error:
            raise Unsolvable(f"a country's answer cannot be read: {error}") from error

    def _leave(self, reasons: Mapping[str, str]) -> None:
        """Let members go for good."""
        for member, reason in sorted(reasons.items()):
            self._journal.event({"type": "member", "member": member, "out": reason})
        self._progress = replace(self._progress, out={**self._progress.out, **reasons})

    def _enough(self, ready: frozenset[str]) -> frozenset[str]:
        out = "; ".join(f"{member}: {reason}" for member, reason in sorted(self._progress.out.items()))
        if len(ready) < self._job.cohort_min:
            raise TooFew(f"{len(ready)} of {len(self._job.members)} countries, {self._job.cohort_min} needed ({out})")
        return ready

    def _note_evaluation(self, member: str, evaluation: Mapping[str, object]) -> None:
        self._journal.event({"type": "evaluation", "member": member, **evaluation})
        self._progress = replace(self._progress, evaluations={**self._progress.evaluations, member: evaluation})

    def _receipt(self, member: str, kind: str, answer: Stepped) -> dict[str, object]:
        return {"member": member, "round": self._progress.round, "kind": kind, "receipt": answer.receipt}

    def _remember(self) -> None:
        """Checkpoint, with the traffic and the time of all runs so far."""
        traffic, seconds = self._earlier
        total = {member: tuple(pair) for member, pair in traffic.items()}
        for member, now in self._exchange.traffic().items():
            sent, received = total.get(member, (0, 0))
            total[member] = (sent + now.sent_bytes, received + now.received_bytes)
        spent = seconds + monotonic() - self._began
        self._progress = replace(self._progress, traffic=total, seconds=spent)
        self._journal.checkpoint(self._progress.to_json())

    def _waiting(self, phase: Phase, reason: str) -> None:
        if phase is not self._phase:
            self._move(phase, reason)
        else:
            self._journal.event({"type": "phase", "phase": phase, "reason": reason})

    def _move(self, phase: Phase, reason: str = "") -> None:
        if phase is self._phase:
            return
        if not follows(self._phase, phase):
            raise RuntimeError(f"{phase} cannot follow {self._phase}")
        self._phase = phase
        self._journal.event({"type": "phase", "phase": phase, "reason": reason})

    def _end(self, phase: Phase, state: JobState, reason: str) -> None:
        self._remember()
        self._move(phase, reason)
        self._journal.event({"type": "state", "state": state, "reason": reason})


def _refusals(replies: Mapping[str, Reply]) -> dict[str, str]:
    """Who refused for good; a round that is taken already is only a reason to take the next number."""
    return {
        member: _words(reply)
        for member, reply in replies.items()
        if isinstance(reply, Refused) and reply.code != _OUT_OF_ORDER
    }


def _words(reply: Refused | Lost) -> str:
    if isinstance(reply, Lost) or reply.reason.startswith(reply.code):
        return reply.reason
    return f"{reply.code}: {reply.reason}"
