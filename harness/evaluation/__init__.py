"""One run: a model scored on tasks, from their texts to a record. :mod:`.run` comes first."""
