"""The guarded Flower SuperLink, the job endpoints beside it, and their client."""
