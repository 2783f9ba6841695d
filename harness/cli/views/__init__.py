"""Printing of results: one module for each kind."""
