"""From SQL or a typed request to a closed plan, its touches and its source query. Pure."""
