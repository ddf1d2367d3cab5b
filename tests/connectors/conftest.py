"""Sources for the connector tests."""

from tests.support.postgres import postgres

__all__ = ["postgres"]
