"""Disclosure control: unprotected integers in, releases out. Pure."""
