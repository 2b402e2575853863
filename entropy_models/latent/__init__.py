"""The entropy model of a latent grid: hyperprior, contexts, and the walk in coding order."""
