"""Which process the package was imported in. Imported with the package itself, before anything can fork."""

from __future__ import annotations

import os

IMPORTED_IN = os.getpid()  # a process with another number is a fork, see entropy_models/exact/settings.py
