"""Statistics: arrays in; estimates, p-values and intervals out."""
