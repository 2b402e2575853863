"""Training: one loop for every codec, and the tasks that it runs."""
