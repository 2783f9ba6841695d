"""What the commands return, printed: one module for each kind of result."""
