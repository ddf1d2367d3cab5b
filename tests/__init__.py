"""The tests. A regular package, so that a `tests` package of some dependency cannot hide it."""
