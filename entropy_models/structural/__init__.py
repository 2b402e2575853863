"""Codebooks found by structural entropy minimisation, and the quantiser that goes with them (see README.md)."""
