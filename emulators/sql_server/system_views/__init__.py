"""Rows of sys.* and INFORMATION_SCHEMA.*."""
