"""Translation: engines, and a cache of translations."""
