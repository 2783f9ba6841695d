"""One reader for each layout that files of a task come in."""
