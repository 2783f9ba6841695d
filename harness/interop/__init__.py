"""Other systems: mteb both ways, TREC runs, results made elsewhere."""
