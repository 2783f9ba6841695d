"""Tracked records: what a repository keeps of a record, and boards are made from."""
