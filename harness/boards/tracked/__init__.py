"""Tracked records: the part of a record kept in a repository, from which boards are made."""
