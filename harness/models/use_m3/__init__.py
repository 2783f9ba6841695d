"""The built-in multilingual encoder, ``use-m3``, and its trainable form."""
