"""Bringing the countries of a job together: connected, asked, consenting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bandung.federation.domain.calls import BadCall, Propose, Proposed
from bandung.federation.domain.progress import Phase
from bandung.federation.training.exchange import Answer, Lost, Refused, Reply
from bandung.federation.training.polling import poll_interval_s
from bandung.gateway.client.jobs import Decision

if TYPE_CHECKING:
    from bandung.federation.training.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a driver is; all in seconds.

    Attributes:
        answer_s_max: until a country that does not answer a call is lost.
        poll_s, poll_s_max: shortest and longest wait between two looks at countries that are waited for.
        gather_s: with the rule `continue`, how long absent countries are waited for before the first round.
        patience_s: how long a job waits in all for countries and decisions before it is laid down, to be resumed.
    """

    answer_s_max: float = 120.0
    poll_s: float = 0.5
    poll_s_max: float = 30.0
    gather_s: float = 60.0
    patience_s: float = 14 * 24 * 3600.0


class GaveUp(Exception):
    """The patience is over; the job can be resumed."""


@dataclass(slots=True)
class _Roll:
    """Who is where."""

    missing: set[str]
    ready: set[str] = field(default_factory=set[str])
    refused: dict[str, str] = field(default_factory=dict[str, str])
    pending: set[str] = field(default_factory=set[str])

    def note(self, member: str, reply: Reply) -> None:
        self.pending.discard(member)
        match _standing(reply):
            case Decision.CONSENTED, _:
                self.ready.add(member)
                self.missing.discard(member)
            case Decision.PENDING, _:
                self.pending.add(member)
            case None, _:
                pass
            case _, reason:
                self.refused[member] = reason
                self.missing.discard(member)

    def waiting_for(self) -> str:
        absent = sorted(self.missing - self.pending)
        parts = [f"not there: {', '.join(absent)}"] if absent else []
        return "; ".join(parts + ([f"not decided: {', '.join(sorted(self.pending))}"] if self.pending else []))


@dataclass(frozen=True, slots=True)
class Muster:
    """Asks countries where the job stands with them, until all have an answer.

    Attributes:
        document: the signed job.
        announce: told the phase and what is waited for, whenever either changes.
        sleep: waits for some seconds.
    """

    document: bytes
    exchange: Exchange
    announce: Callable[[Phase, str], None]
    pace: Pace
    sleep: Callable[[float], None]

    def gather(
        self, members: frozenset[str], *, phase: Phase | None = None, enough: Callable[[set[str]], bool] | None = None
    ) -> tuple[frozenset[str], dict[str, str]]:
        """Wait until every member has consented or refused.

        Args:
            phase: what to announce while waiting; by default `WAITING` or `WAITING_CONSENT`, as it is.
            enough: given who is ready; where it holds, absent members are waited for no longer than `gather_s`.

        Returns:
            Who is ready, and who refused, with the reason.

        Raises:
            GaveUp: the patience is over.
        """
        roll, waited, said = _Roll(set(members)), 0.0, ""
        while True:
            self._call(roll)
            if not roll.missing or (
                enough and not roll.pending and waited >= self.pace.gather_s and enough(roll.ready)
            ):
                return frozenset(roll.ready), roll.refused
            if roll.waiting_for() != said:
                said = roll.waiting_for()
                self.announce(phase or (Phase.WAITING if roll.missing - roll.pending else Phase.WAITING_CONSENT), said)
            if waited >= self.pace.patience_s:
                raise GaveUp(f"after {waited:.0f} s of waiting: {said}")
            pause = max(self.pace.poll_s, poll_interval_s(waited, self.pace.poll_s_max))
            self.sleep(pause)
            waited += pause

    def _call(self, roll: _Roll) -> None:
        connected = roll.missing & self.exchange.nodes().keys()
        roll.pending &= connected
        if connected:
            payload = Propose(self.document).to_bytes()
            self.exchange.ask(dict.fromkeys(sorted(connected), payload), self.pace.answer_s_max, roll.note)


def _standing(reply: Reply) -> tuple[Decision | None, str]:
    match reply:
        case Answer(payload):
            try:
                answer = Proposed.from_bytes(payload)
            except BadCall as error:
                return Decision.REFUSED, f"the country's answer cannot be read: {error}"
            return answer.decision, answer.reason
        case Refused(code, reason):
            return Decision.REFUSED, reason if reason.startswith(code) else f"{code}: {reason}"
        case Lost():
            return None, ""
