"""Measurements, as ratios from one run. `make bench` runs them all; nothing here is asserted in a test."""
