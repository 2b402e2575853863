"""From what is known of a cell to the parameters of its distribution; one file a head."""
