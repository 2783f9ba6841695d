"""Training: pairs of queries and passages, batches, the recipe, and the model folder."""
