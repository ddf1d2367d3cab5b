"""The exchange over Flower's Grid: own waiting, because Grid's own sleeps for seconds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final

from flwr.app import Message
from flwr.serverapp import Grid

from bandung.federation.training.envelope import Answered, Declined, Undelivered, outcome_of, request_record
from bandung.federation.training.exchange import Answer, Lost, Refused, Reply, Traffic
from bandung.federation.training.flower_inbox import FlowerInbox
from bandung.federation.training.polling import poll_interval_s

_LONGEST_POLL_S: Final = 0.5
_ROLL_CALL_S: Final = 2.0
_EXPIRY_S: Final = 5.0


@dataclass(frozen=True)
class _Presence:
    """A connected node, and since when its session lasts."""

    node_id: int
    since: str


class FlowerExchange:
    """Speaks to the nodes that are registered at the coordinator under a member id.

    Args:
        grid: Flower's way to the nodes, for one run.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._inbox = FlowerInbox(grid)
        self._traffic: dict[str, Traffic] = {}

    def nodes(self) -> Mapping[str, int]:
        """Return the connected members. Their ids are those under which the coordinator registered the keys."""
        return {member: presence.node_id for member, presence in self._presences().items()}

    def ask(
        self, requests: Mapping[str, bytes], timeout_s: float, on_reply: Callable[[str, Reply], None]
    ) -> Mapping[str, Reply]:
        """Send the requests and collect the replies; see `Exchange.ask`."""
        present = self._presences()
        inquiry = _Inquiry(on_reply)
        for member in requests.keys() - present.keys():
            inquiry.settle(member, Lost("the member's node is not connected"))
        inquiry.sent(self._push({m: requests[m] for m in requests if m in present}, present, timeout_s))
        self._collect(inquiry, _RollCall(self._presences, present, inquiry), timeout_s)
        return inquiry.replies

    def traffic(self) -> Mapping[str, Traffic]:
        """Return the payload bytes exchanged with each member."""
        return dict(self._traffic)

    def _presences(self) -> dict[str, _Presence]:
        nodes = self._grid.get_nodes()
        return {node.name: _Presence(node.node_id, node.last_activated_at) for node in nodes if node.name}

    def _push(
        self, requests: Mapping[str, bytes], present: Mapping[str, _Presence], timeout_s: float
    ) -> Mapping[str, str]:
        """Send, and return the members by the ids of their messages."""
        if not requests:
            return {}
        messages = [
            # The time to live keeps a step that was given up from being delivered later; it is longer than
            # the time-out because an expired message is reported as one that never was.
            Message(request_record(payload), present[member].node_id, "train", ttl=timeout_s + _EXPIRY_S)
            for member, payload in requests.items()
        ]
        ids = list(self._grid.push_messages(messages))
        for member, payload in requests.items():
            self._count(member, sent=len(payload))
        return dict(zip(ids, requests, strict=True))

    def _collect(self, inquiry: "_Inquiry", roll_call: "_RollCall", timeout_s: float) -> None:
        began = last = monotonic()
        while inquiry.waiting and (now := monotonic()) - began < timeout_s:
            if self._take(inquiry):
                last = now
            else:
                roll_call.when_due(now)
                sleep(poll_interval_s(now - last, _LONGEST_POLL_S))
        for member in list(inquiry.waiting.values()):
            inquiry.settle(member, Lost(f"no answer within {timeout_s:g} s"))

    def _take(self, inquiry: "_Inquiry") -> bool:
        replies = self._inbox.take(inquiry.waiting)
        for asked, message in replies:
            member, reply = inquiry.waiting[asked], _reply(message)
            self._count(member, received=len(reply.payload) if isinstance(reply, Answer) else 0)
            inquiry.settle(member, reply)
        return bool(replies)

    def _count(self, member: str, sent: int = 0, received: int = 0) -> None:
        so_far = self._traffic.get(member, Traffic())
        self._traffic[member] = Traffic(so_far.sent_bytes + sent, so_far.received_bytes + received)


class _Inquiry:
    """Who has been asked, and what has come back."""

    def __init__(self, on_reply: Callable[[str, Reply], None]) -> None:
        self._on_reply = on_reply
        self.waiting: dict[str, str] = {}
        self.replies: dict[str, Reply] = {}

    def sent(self, members: Mapping[str, str]) -> None:
        self.waiting = dict(members)

    def settle(self, member: str, reply: Reply) -> None:
        self.waiting = {i: m for i, m in self.waiting.items() if m != member}
        self.replies[member] = reply
        self._on_reply(member, reply)


class _RollCall:
    """Gives up on members whose node was started anew: the new one knows nothing of the request.

    Of nodes that are simply gone, Flower tells by itself.
    """

    def __init__(
        self,
        presences: Callable[[], Mapping[str, _Presence]],
        at_first: Mapping[str, _Presence],
        inquiry: _Inquiry,
    ) -> None:
        self._presences = presences
        self._at_first = at_first
        self._inquiry = inquiry
        self._last = monotonic()

    def when_due(self, now: float) -> None:
        if now - self._last < _ROLL_CALL_S:
            return
        self._last = now
        present = self._presences()
        for member in present.keys() & set(self._inquiry.waiting.values()):
            if present[member] != self._at_first[member]:
                self._inquiry.settle(member, Lost("the member's node was started anew"))


def _reply(message: Message | None) -> Reply:
    if message is None:
        return Lost("the member's node did not finish its reply")
    if message.has_error():
        return Lost(f"Flower reports: {message.error.reason}")
    match outcome_of(message.content):
        case Answered(payload):
            return Answer(payload)
        case Declined(code, reason):
            return Refused(code, reason)
        case Undelivered(reason):
            return Lost(reason)
