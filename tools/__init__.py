"""What a person starts: command line, training, benchmark."""
