"""The language worker: a process of its own that loads the app and runs its functions."""
