"""Keys and certificates of a node, and the documents by which nodes know each other."""
