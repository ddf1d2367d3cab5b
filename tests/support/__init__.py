"""Builders of small, valid domain values for tests."""
