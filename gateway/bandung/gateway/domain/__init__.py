"""Frozen values of the gateway: datasets, parties, plans, decisions, budgets, releases, ledger entries."""
