"""Connectors: national databases and files, asked only for aggregates, or for rows inside the country."""
