"""Training pairs from public data: files in common forms, and sets of the hub by name."""
