"""The precision of all integer frequencies."""

from __future__ import annotations

# constriction's Python coder works with 24-bit probabilities. Frequencies that sum to 2^24 are its own
# numbers: nothing is rounded on the way, and a symbol may be as improbable as 2^-24, so that long tails
# take next to nothing from the symbols that occur (with 2^16, a table of 600 slots would give them 1 %).
PRECISION = 24
TOTAL = 1 << PRECISION
