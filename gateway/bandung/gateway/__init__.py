"""The gateway: the one process that sees a country's rows, and lets out only releases."""

from bandung.gateway.version import __version__

__all__ = ["__version__"]
