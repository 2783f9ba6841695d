"""What every room stands on: files, digests, codes of languages, the machine, progress."""
