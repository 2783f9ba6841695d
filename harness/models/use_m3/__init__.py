"""The built-in multilingual encoder, ``use-m3``, and what is made of it by training."""
