"""Boards in every output format."""
