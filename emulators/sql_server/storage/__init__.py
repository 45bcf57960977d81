"""Locks, transactions, writing rows, change tracking."""
