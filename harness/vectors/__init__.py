"""Texts to vectors: encoded once, kept in a store, by one process or many."""
