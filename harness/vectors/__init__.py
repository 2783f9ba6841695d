"""Texts to vectors: encoded once and stored, by one process or many."""
