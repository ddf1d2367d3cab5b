"""Ask every country at once. Whoever refuses or is away says so in the result; the others still answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from bandung.federation.domain.study import Answered, Declined, Outcome, Unreachable

if TYPE_CHECKING:
    import pyarrow as pa

    from bandung.federation.domain.member import Member

_AT_ONCE_MAX = 32


class _Gateway(Protocol):
    """The one thing that is asked of a gateway."""

    def query(self, sql: str, parameters: Sequence[str] = ()) -> pa.Table: ...


Connect = Callable[["Member"], AbstractContextManager[_Gateway]]
