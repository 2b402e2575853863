"""Entropy models: probabilities and integers, nothing of files, pictures or sound."""
