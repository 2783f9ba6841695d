"""The built-in transformer, ``me5-small``: multilingual-e5-small in 4-bit weights, no download."""
