"""Whether training data contains what a model will be evaluated on."""
