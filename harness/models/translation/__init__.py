"""Translation: engines, and what they have translated before."""
