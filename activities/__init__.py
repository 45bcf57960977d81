"""Activities: thin, they unpack, call the core and return JSON."""
