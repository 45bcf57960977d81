"""Tools for working on the emulators."""
