"""What every room builds on: files, digests, language codes, the machine, progress."""
