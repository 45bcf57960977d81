"""Functions that SQLite calls while a statement runs; ``registration.py`` lists them."""
