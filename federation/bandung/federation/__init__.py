"""The federation: one question to many countries, and models trained across gateways."""
