"""The Fleet API of Flower, spoken by us: the one module at a node that touches flwr's internals.

flwr's own connection helper ends or signals its process on some errors and sleeps three seconds between
pulls. Only its HTTP client, its messages and its object codec are used here; retries, heartbeats and the
decision what to do about an error are ours. No FAB is ever fetched.
"""

import logging
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final, TypeVar, cast

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    DeactivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.message_pb2 import (
    ConfirmMessageReceivedRequest,
    ObjectTree,
    PullObjectRequest,
    PushObjectRequest,
)
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import (
    ObjectPullError,
    ObjectPushError,
    pull_and_inflate_object_from_tree,
    push_objects,
)
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext
from flwr.supercore.runtime_version_compatibility import RuntimeVersionMetadata
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from bandung.federation.courier.config import CourierConfig
from bandung.federation.courier.keys import load_node_key, public_pem
from bandung.federation.training.durable import write_atomically
from bandung.federation.training.polling import poll_interval_s

_FIRST_RETRY_S: Final = 0.2
_LONGEST_RETRY_S: Final = 5.0
_ACTIVATION_RETRY_S: Final = 1.0
_OBJECT_WAIT_S: Final = 60.0
"""How long the parts of a message may lag behind it: the ServerApp uploads them right after."""

_COLLECTED_S: Final = 3.0
"""How long after its last reply a node stays: Flower takes the replies of a node that has left for lost, collected or
not, and our ServerApp looks for them twice a second."""

_logger = logging.getLogger(__name__)
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class FleetStopped(Exception):
    """The courier is stopping."""


class FleetRefusedError(Exception):
    """The coordinator refused a call for good, such as one of a run that has ended.

    Args:
        status: The HTTP status; 401 means that the coordinator does not know this node (any more).
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"the coordinator answered with status {status}")
        self.status = status


@dataclass(frozen=True)
class Delivery:
    """A message taken from the coordinator, to be answered by `FleetLink.reply`."""

    content: RecordDict
    message: Message
    received_s: float
    """When it was taken, on the monotonic clock."""


class _VersionHeaders:
    """Names our flwr version; unlike flwr's own interceptor it never ends the process on an answer."""

    def __init__(self) -> None:
        self._headers = dict(RuntimeVersionMetadata.from_local_component("SuperNode").as_metadata())

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        context.request.headers.update(self._headers)
        return call_next(context)


class FleetLink:
    """A node's session with one coordinator.

    All calls retry transport errors and 5xx for ever, until `stop` is set. Not for use by several threads;
    the heartbeat runs in a thread of its own.

    Args:
        config: The courier's configuration.
        stop: Set from outside to end every wait.
    """

    def __init__(self, config: CourierConfig, stop: threading.Event) -> None:
        self._config = config
        self._stop = stop
        key = load_node_key(config.node_key)
        self._public_key = public_pem(key)
        self._client = _fleet_client(config, key)
        self._node = Node()
        self._left = threading.Event()
        self._replied_s = -_COLLECTED_S
        self._pulse = threading.Thread(target=self._beat, name="courier-heartbeat", daemon=True)

    def activate(self) -> None:
        """Open a session; waits until the coordinator grants it.

        It does not while the node's key is not registered, or while an earlier session has not expired.

        Raises:
            FleetStopped: `stop` was set.
        """
        request = ActivateNodeRequest(public_key=self._public_key, heartbeat_interval=self._config.heartbeat_s)
        level = logging.WARNING
        while True:
            try:
                self._node = Node(node_id=self._call(self._client.ActivateNode, request).node_id)
                break
            except FleetRefusedError as error:
                _logger.log(level, "%s; not registered, or an earlier session has not expired yet", error)
                level = logging.DEBUG
                self._end_earlier_session()
                self._pause(_ACTIVATION_RETRY_S)
        write_atomically(self._session_file, str(self._node.node_id).encode())
        _logger.info("node %d is active at %s", self._node.node_id, self._config.superlink)
        if not self._pulse.is_alive():
            self._pulse.start()

    def receive(self) -> Delivery | None:
        """Take the next message, if there is one.

        Raises:
            FleetRefusedError: The session is void (401), or the message's run has ended.
            FleetStopped: `stop` was set.
        """
        pulled = self._call(self._client.PullMessages, PullMessagesRequest(node=self._node))
        if not pulled.messages_list:
            return None
        run_id = message_from_proto(pulled.messages_list[0]).metadata.run_id
        message = self._inflate(run_id, pulled.message_object_trees[0])
        return Delivery(message.content, message, monotonic()) if message is not None else None

    def reply(self, delivery: Delivery, content: RecordDict) -> None:
        """Send the answer to a message.

        Raises:
            FleetRefusedError: The message's run has ended meanwhile.
            FleetStopped: `stop` was set.
        """
        reply = _reply(delivery, content)
        run_id = delivery.message.metadata.run_id
        with no_object_id_recompute():
            _set_message_id(reply, reply.object_id)
            objects = get_all_nested_objects(reply)
            sent = self._call(
                self._client.PushMessages,
                PushMessagesRequest(
                    node=self._node,
                    messages_list=[message_to_proto(remove_content_from_message(reply))],
                    message_object_trees=[get_object_tree(reply)],
                    clientapp_runtime_list=[monotonic() - delivery.received_s],
                ),
            )
            push_objects(
                objects,
                lambda object_id, content: self._push(run_id, sent.session_id, object_id, content),
                object_ids_to_push=set(sent.objects_to_push),
            )
        self._replied_s = monotonic()

    def close(self) -> None:
        """Leave, so that the coordinator need not wait for the session to expire; a last reply is collected first."""
        self._left.wait(max(0.0, self._replied_s + _COLLECTED_S - monotonic()))
        self._left.set()
        if self._node.node_id:
            self._sign_off(self._node.node_id)
        self._client.close()

    @property
    def _session_file(self) -> Path:
        return self._config.node_key.with_suffix(".session")

    def _end_earlier_session(self) -> None:
        """Sign off a courier that died without doing so; else Flower waits for two missed heartbeats."""
        try:
            self._sign_off(int(self._session_file.read_text("ascii")))
        except (FileNotFoundError, ValueError):
            return

    def _sign_off(self, node_id: int) -> None:
        try:
            self._client.DeactivateNode(DeactivateNodeRequest(node_id=node_id))
        except httpx.HTTPError as error:
            _logger.debug("not signed off: %s", error)

    def _inflate(self, run_id: int, tree: ObjectTree) -> Message | None:
        try:
            message = pull_and_inflate_object_from_tree(
                tree,
                lambda object_id: self._pull(run_id, object_id),
                lambda object_id: self._confirm(run_id, object_id),
                return_type=Message,
            )
        except ObjectPullError as error:
            _logger.warning("a message was given up: %s", error)
            return None
        _set_message_id(message, tree.object_id)
        return message

    def _pull(self, run_id: int, object_id: str) -> bytes:
        request = PullObjectRequest(node=self._node, run_id=run_id, object_id=object_id)
        began = monotonic()
        while monotonic() - began < _OBJECT_WAIT_S:
            response = self._call(self._client.PullObject, request)
            if response.object_available:
                return response.object_content
            if not response.object_found:
                raise ObjectPullError(object_id, "it is gone")
            self._pause(poll_interval_s(monotonic() - began, 1.0))
        raise ObjectPullError(object_id, f"it did not arrive within {_OBJECT_WAIT_S:.0f} s")

    def _confirm(self, run_id: int, object_id: str) -> None:
        request = ConfirmMessageReceivedRequest(node=self._node, run_id=run_id, message_object_id=object_id)
        self._call(self._client.ConfirmMessageReceived, request)

    def _push(self, run_id: int, session_id: str, object_id: str, content: bytes) -> None:
        request = PushObjectRequest(
            node=self._node,
            run_id=run_id,
            session_id=session_id,
            object_id=object_id,
            object_content=content,
        )
        if not self._call(self._client.PushObject, request).stored:
            # The upload session lapsed: the coordinator will take this message for lost.
            _logger.warning("%s", ObjectPushError(object_id, run_id, session_id))

    def _call(self, rpc: Callable[[RequestT], ResponseT], request: RequestT) -> ResponseT:
        delay_s = _FIRST_RETRY_S
        while True:
            try:
                return rpc(request)
            except httpx.HTTPStatusError as error:
                if error.response.status_code < 500:
                    raise FleetRefusedError(error.response.status_code) from error
                _logger.warning("the coordinator answered with %d; retrying", error.response.status_code)
            except (httpx.RequestError, ValueError) as error:
                _logger.warning("the coordinator cannot be reached (%s); retrying", type(error).__name__)
            self._pause(delay_s)
            delay_s = min(_LONGEST_RETRY_S, 2 * delay_s)

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise FleetStopped

    def _beat(self) -> None:
        # Told to stop, the courier still finishes the step at hand, and must not be taken for dead meanwhile.
        interval_s = self._config.heartbeat_s
        while not self._left.wait(0.8 * interval_s):
            try:
                self._client.SendNodeHeartbeat(SendNodeHeartbeatRequest(node=self._node, heartbeat_interval=interval_s))
            except (httpx.HTTPError, ValueError, RuntimeError) as error:
                # The main loop meets the same trouble and deals with it.
                _logger.debug("heartbeat: %s", type(error).__name__)


def _fleet_client(config: CourierConfig, key: ec.EllipticCurvePrivateKey) -> FleetHttpClient:
    context = ssl.create_default_context(cafile=str(config.superlink_ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if config.client_certificate is not None:
        context.load_cert_chain(*config.client_certificate)
    return FleetHttpClient(
        f"https://{config.superlink}",
        interceptors=[_VersionHeaders(), NodeAuthHttpInterceptor(key, key.public_key())],
        verify=context,
        timeout=config.request_timeout_s,
    )


def _reply(delivery: Delivery, content: RecordDict) -> Message:
    """Make a reply dated by the coordinator's clock: the SuperLink drops one that seems too late or too early."""
    asked = delivery.message.metadata
    elapsed_s = monotonic() - delivery.received_s
    reply = Message(content, reply_to=delivery.message)
    reply.metadata.ttl = asked.ttl - elapsed_s
    cast("dict[str, object]", reply.metadata.__dict__)["_created_at"] = asked.created_at + elapsed_s
    return reply


def _set_message_id(message: Message, object_id: str) -> None:
    # flwr has no public setter, and its SuperLink refuses messages without the id.
    cast("dict[str, object]", message.metadata.__dict__)["_message_id"] = object_id
