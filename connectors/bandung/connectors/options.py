"""Reading a connector's options: strings from a declaration, refused when unknown or malformed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping

from bandung.connectors.base import OptionError


class Options:
    """A declaration's options for one connector.

    Raises:
        OptionError: an option is not among the known ones.
    """

    def __init__(self, connector: str, options: Mapping[str, str], known: Iterable[str]) -> None:
        self._connector = connector
        self._options = options
        unknown = sorted(options.keys() - set(known))
        if unknown:
            raise OptionError(f"{connector} has no option {', '.join(unknown)}; it has {', '.join(sorted(known))}")

    def text(self, name: str, default: str | None = None) -> str | None:
        """Return a text option."""
        return self._options.get(name, default)

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """Return a text option that is one of the choices, or None."""
        value = self._options.get(name)
        if value is not None and value not in choices:
            raise OptionError(f"{self._connector}: {name} must be one of {', '.join(choices)}")
        return value

    def whole(self, name: str, default: int, minimum: int = 1) -> int:
        """Return a whole number that is at least `minimum`."""
        value = self._options.get(name, str(default))
        if not value.isdecimal() or int(value) < minimum:
            raise OptionError(f"{self._connector}: {name} must be a whole number from {minimum}")
        return int(value)

    def truth(self, name: str, *, default: bool) -> bool:
        """Return a truth value."""
        value = self._options.get(name, "true" if default else "false")
        if value not in {"true", "false"}:
            raise OptionError(f"{self._connector}: {name} must be true or false")
        return value == "true"

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        try:
            values = json.loads(self._options.get(name, "[]"))
        except ValueError:
            values = None
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise OptionError(f"{self._connector}: {name} must be a list of texts")
        return tuple(str(value) for value in values)
