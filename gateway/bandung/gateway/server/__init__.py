"""The gateway's one listener: Flight SQL and the typed services over mutual TLS 1.3."""
