"""Pictures as people have them: read from every format, held with alpha, profile and depth, and written."""
