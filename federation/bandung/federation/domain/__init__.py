"""Frozen values of the federation: job files, calls to countries, progress, model cards."""
