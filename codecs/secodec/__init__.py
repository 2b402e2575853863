"""SECodec: a speech codec whose codebooks are found by structural entropy (arXiv 2501.00018)."""
