"""Declared sources, opened through the registered connectors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bandung.connectors.base import Connector, OptionError, SourceError
from bandung.connectors.registry import open_connector
from bandung.gateway.domain.dataset import Source
from bandung.gateway.domain.declaration import BASE_OPTION
from bandung.gateway.domain.errors import ErrorKind, Refusal


class Sources:
    """Opens sources; fills `ports.Connectors`.

    Args:
        environment: where connectors look up what an option names by a variable.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def open(self, source: Source) -> Connector:
        """Return an open connector, which the caller closes.

        Raises:
            Refusal: SOURCE_UNAVAILABLE, or BAD_DECLARATION for an unknown connector or option.
        """
        options = dict(source.options)
        base = Path(options.pop(BASE_OPTION, "."))
        try:
            return open_connector(source.connector, options, base, self._environment)
        except OptionError as error:
            raise Refusal(ErrorKind.BAD_DECLARATION, f"source: {error}.") from error
        except SourceError as error:
            raise Refusal(ErrorKind.SOURCE_UNAVAILABLE, private=str(error)) from error
