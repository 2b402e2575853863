"""Pictures by learned transforms: one codec for every network that a configuration can describe."""
