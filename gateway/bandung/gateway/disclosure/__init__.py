"""Disclosure control: raw aggregates in, releases out. The only package that makes a `Release`."""
