"""The commands of a gateway's operator and custodian."""
