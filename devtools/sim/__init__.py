"""Simulation: one seed decides a scenario, the real app runs it over the wire in virtual time, invariants judge it."""
