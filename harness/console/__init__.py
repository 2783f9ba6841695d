"""Building blocks of printed views: numbers, tables, matrices, progress bars."""
