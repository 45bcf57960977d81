"""The SQL trigger of the Functions host."""
