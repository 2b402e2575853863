"""bitfloor: learned codecs whose files decode on every machine."""

__version__ = "0.1.0"
