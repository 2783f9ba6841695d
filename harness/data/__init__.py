"""Task files and their texts: fetched, verified, read; passages as one pool; TREC files."""
