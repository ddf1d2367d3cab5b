"""Tests of the federation: real processes, real TLS."""
