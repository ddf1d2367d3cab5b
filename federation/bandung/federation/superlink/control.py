"""Flower's Control API, as the coordinator uses it on its own internal listener."""

import logging
import ssl
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from flwr.common.constant import Status
from flwr.common.serde import fab_to_proto, user_config_to_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.supercore.constant import NodeStatus
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext

from bandung.federation.superlink.config import CoordinatorConfig
from bandung.federation.superlink.fab import bundle

_logger = logging.getLogger(__name__)


class ControlError(Exception):
    """The SuperLink did not do what it was asked to."""


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended, in Flower's words."""

    status: str
    details: str


@dataclass(frozen=True)
class RegisteredNode:
    """A node whose key is registered."""

    node_id: int
    member: str
    public_key: bytes
    online: bool


class Control:
    """Starts and follows runs, and registers nodes. May be used by several threads."""

    def __init__(self, config: CoordinatorConfig) -> None:
        self._client = ControlHttpClient(
            f"https://{config.internal_address}",
            interceptors=[
                RuntimeVersionHttpInterceptor(component_name="bandung-coordinator"),
                _Bearer(config.token()),
            ],
            verify=ssl.create_default_context(cafile=str(config.ca)),
        )

    def start_run(self, job: str) -> int:
        """Start a run that drives the job with this digest.

        Raises:
            ControlError: The SuperLink refused.
        """
        fab = bundle()
        request = StartRunRequest(
            fab=fab_to_proto(Fab(fab.digest, fab.content, {})),
            override_config=user_config_to_proto({"job": job}),
        )
        with _translated():
            run_id = self._client.StartRun(request).run_id
        if not run_id:
            raise ControlError("the SuperLink started no run")
        return run_id

    def run_outcome(self, run_id: int) -> RunOutcome | None:
        """Return how a run ended, or None while it has not.

        Raises:
            ControlError: The SuperLink does not know the run.
        """
        with _translated():
            run = self._client.ListRuns(ListRunsRequest(run_id=run_id)).run_dict[run_id]
        if run.status.status != Status.FINISHED:
            return None
        return RunOutcome(run.status.sub_status, run.status.details)

    def stop_run(self, run_id: int) -> None:
        """Stop a run.

        Raises:
            ControlError: It could not be stopped, for instance because it has ended.
        """
        with _translated():
            self._client.StopRun(StopRunRequest(run_id=run_id))

    def nodes(self) -> list[RegisteredNode]:
        """Return the registered nodes.

        Raises:
            ControlError: The SuperLink did not answer.
        """
        with _translated():
            listed = self._client.ListNodes(ListNodesRequest()).nodes_info
        return [
            RegisteredNode(node.node_id, node.name, node.public_key, node.status == NodeStatus.ONLINE)
            for node in listed
            if node.status != NodeStatus.UNREGISTERED
        ]

    def admit(self, keys: Mapping[str, bytes]) -> list[str]:
        """Make the registered nodes exactly those of `keys` (public key in PEM by member id).

        Returns:
            The members whose key the SuperLink refused: malformed, not on a NIST curve, or another's.

        Raises:
            ControlError: The SuperLink did not answer.
        """
        present = {(node.member, node.public_key): node.node_id for node in self.nodes()}
        for gone in present.keys() - set(keys.items()):
            with _translated():
                self._client.UnregisterNode(UnregisterNodeRequest(node_id=present[gone]))
        new = sorted(set(keys.items()) - present.keys())
        return [member for member, key in new if not self._register(member, key)]

    def _register(self, member: str, key: bytes) -> bool:
        try:
            self._client.RegisterNode(RegisterNodeRequest(public_key=key, name=member))
        except httpx.HTTPStatusError as error:
            _logger.warning("the key of %s was refused with status %d", member, error.response.status_code)
            return False
        except httpx.RequestError as error:
            raise ControlError(f"the SuperLink did not answer: {type(error).__name__}") from error
        return True

    def close(self) -> None:
        """Give up the connection."""
        self._client.close()


class _Bearer:
    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        context.request.headers["Authorization"] = self._header
        return call_next(context)


@contextmanager
def _translated() -> Generator[None]:
    """Turn the ways in which a call can fail into `ControlError`."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise ControlError(f"the SuperLink answered with status {error.response.status_code}") from error
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise ControlError(f"the SuperLink did not answer: {type(error).__name__}") from error
