"""Training: pairs of queries and passages, batches, the recipe, and what it leaves behind."""
