"""Exact arithmetic: results that do not depend on the machine."""
