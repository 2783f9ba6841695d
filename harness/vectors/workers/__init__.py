"""The workers that encode a corpus: this process, one process per device, a Ray cluster."""
