"""Whether training data holds what a model will be scored on."""
