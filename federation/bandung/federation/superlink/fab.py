"""The Flower App Bundle of Bandung: two references to installed code, and one parameter."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Final

from flwr.cli.build import build_fab_from_files

_SERVER_APP: Final = "bandung.federation.training.flower_app:server_app"
_CLIENT_APP: Final = "bandung.federation.courier.client_app:client_app"
_PYPROJECT: Final = f"""\
[project]
name = "bandung-training"
version = "{version("bandung")}"
description = "Names the installed Bandung; holds no code."
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "bandung"

[tool.flwr.app.components]
serverapp = "{_SERVER_APP}"
clientapp = "{_CLIENT_APP}"

[tool.flwr.app.config]
job = ""
"""


@dataclass(frozen=True)
class Bundle:
    """A FAB: its bytes and their SHA-256 in hexadecimal."""

    content: bytes
    digest: str


@cache
def bundle() -> Bundle:
    """Build the FAB. The same version of Bandung always builds the same bytes."""
    content, _ = build_fab_from_files({"pyproject.toml": _PYPROJECT.encode()})
    return Bundle(content, hashlib.sha256(content).hexdigest())
