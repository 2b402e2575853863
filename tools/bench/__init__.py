"""The benchmark: real files, honest measures, averages, Bjontegaard deltas and a report."""
