"""Hyperpriors: a small latent z that tells the entropy model of y about every region; one file a hyperprior."""
