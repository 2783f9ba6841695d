"""The lexical model: BM25 over words and character n-grams."""
