"""What every printed view needs: numbers, tables, matrices, progress bars."""
