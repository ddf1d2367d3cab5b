"""Generated from proto/bandung/gateway/v1; `make proto` writes it."""
