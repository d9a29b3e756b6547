"""Many films: the batch file, and what runs it."""
