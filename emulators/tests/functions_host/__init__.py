"""The Functions host, in a process of its own."""
