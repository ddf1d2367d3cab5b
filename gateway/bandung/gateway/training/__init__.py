"""Trainers: sums of per-record statistics over a country's own records, their gates, and the masks over them."""
