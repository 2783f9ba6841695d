"""Who encodes the shards of a corpus: this process, one per device, a Ray cluster."""
