"""Takes replies out of Flower's Grid without ever waiting for one: the one module here that knows its insides.

`Grid.pull_messages` waits a second and more for the parts of a reply that are still being uploaded, and a node
that withholds them stalls all others for minutes. Here such a reply stays pending and the others pass it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from flwr.app import Message
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest
from flwr.proto.node_pb2 import Node
from flwr.proto.runtime_pb2 import PullAppMessagesRequest
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.runtime import RuntimeHttpClient


@dataclass
class _Pending:
    """A reply that is announced: to which message, its own id, and the parts that have come and are to come."""

    asked: str
    message_id: str
    missing: list[str]
    contents: dict[str, bytes] = field(default_factory=dict[str, bytes])
    withdrawn: bool = False


class FlowerInbox:
    """The replies to the messages of one run.

    Args:
        grid: The Grid that Flower gave to the ServerApp.
    """

    def __init__(self, grid: Grid) -> None:
        # Grid's public methods cannot say "not there yet"; its client can.
        inner = cast("Any", grid)
        self._client = cast("RuntimeHttpClient", inner._runtime_client)
        self._node = cast("Node", inner.node)
        self._run_id = cast("int", inner.run.run_id)
        self._pending: list[_Pending] = []

    def take(self, asked: Iterable[str]) -> list[tuple[str, Message | None]]:
        """Return the replies that are complete now, each with the id of the message it answers.

        A reply whose parts the SuperLink has given up waiting for is None.

        Args:
            asked: Ids of the messages whose replies are waited for; others that are pending are dropped.
        """
        wanted = set(asked)
        announced = {pending.asked for pending in self._pending}
        self._announce(wanted - announced)
        self._pending = [pending for pending in self._pending if pending.asked in wanted]
        complete = [pending for pending in self._pending if self._complete(pending)]
        self._pending = [pending for pending in self._pending if pending not in complete]
        return [(pending.asked, self._message(pending)) for pending in complete]

    def _announce(self, asked: set[str]) -> None:
        if not asked:
            return
        pulled = self._client.PullMessages(PullAppMessagesRequest(message_ids=sorted(asked)))
        for message, tree in zip(pulled.messages_list, pulled.message_object_trees, strict=True):
            parts = [part.object_id for part in iterate_object_tree(tree)]
            metadata = message.metadata
            self._pending.append(_Pending(metadata.reply_to_message_id, metadata.message_id, parts))

    def _complete(self, pending: _Pending) -> bool:
        while pending.missing:
            request = PullObjectRequest(node=self._node, run_id=self._run_id, object_id=pending.missing[0])
            response = self._client.PullObject(request)
            if not response.object_available:
                pending.withdrawn = not response.object_found
                return pending.withdrawn
            pending.contents[pending.missing.pop(0)] = response.object_content
        return True

    def _message(self, pending: _Pending) -> Message | None:
        if pending.withdrawn:
            return None
        self._client.ConfirmMessageReceived(
            ConfirmMessageReceivedRequest(node=self._node, run_id=self._run_id, message_object_id=pending.message_id)
        )
        return cast("Message", inflate_object_from_contents(pending.message_id, pending.contents))
