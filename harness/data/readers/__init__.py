"""One reader for each file layout of a task."""
