"""What a person starts with couplings: reports on laws, Markov coding games, message hiding."""
