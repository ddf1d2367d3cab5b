"""The order of things: each module is one act of the gateway, written once for every interface."""
