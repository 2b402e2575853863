"""SESLM: speech from text over the tokens of SECodec."""
