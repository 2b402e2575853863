"""Analysis and synthesis transforms; one file a transform."""
