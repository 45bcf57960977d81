"""Statements that change the catalogue: tables, indexes, views, permissions, extended properties."""
