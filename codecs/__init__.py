"""Codecs: each turns a signal into one file and back."""
