"""The entropy model of speech tokens: what the range coder expects of the next step."""
