"""Folders of speech as tokens: batches in one or several processes, one file for each sound or one for all."""
