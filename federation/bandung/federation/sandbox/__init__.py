"""A whole federation on loopback, for demonstrations, tests and first steps with one's own data."""
