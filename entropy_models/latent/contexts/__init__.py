"""What is already known of a latent, gathered for the part that is coded next; one file a context."""
