"""Connectors by name: the built-in ones and third parties', registered by entry point."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, cast

from bandung.connectors.base import Connector, OptionError

GROUP = "bandung.connectors"
"""The entry-point group that a connector's distribution registers under."""


class Opener(Protocol):
    """What an entry point names: usually a connector's class."""

    def open(self, options: Mapping[str, str], base: Path, environment: Mapping[str, str]) -> Connector:
        """Return an open connector, safe for use by several threads at once.

        Args:
            options: the declaration's `[source]` section without `connector` and `relation`; numbers and
                truth values in their TOML spelling, lists as JSON text.
            base: directory of the declaration; relative paths start there.
            environment: where secrets that an option names by a variable are looked up.

        Raises:
            OptionError: an option is unknown, missing or malformed.
            SourceError: the source cannot be reached.
        """
        ...


def registered() -> tuple[str, ...]:
    """Return the names of the connectors that are installed here, sorted."""
    return tuple(sorted(entry_points(group=GROUP).names))


def open_connector(name: str, options: Mapping[str, str], base: Path, environment: Mapping[str, str]) -> Connector:
    """Open a source through the connector of that name.

    Raises:
        OptionError: no such connector is installed, or its options are wrong.
        SourceError: the source cannot be reached.
    """
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        raise OptionError(f"there is no connector {name}; installed are {', '.join(registered())}")
    if len(found) > 1:
        raise OptionError(f"several installed packages claim the connector {name}; remove all but one")
    opener = cast("Opener", found[0].load())
    return opener.open(options, base, environment)
