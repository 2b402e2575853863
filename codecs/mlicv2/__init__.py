"""MLICv2: pictures (Jiang et al., arXiv 2504.19119)."""
