"""Integer probability tables and the range coder: from symbols to bytes and back, the same on every machine."""
