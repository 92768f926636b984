"""Faults for whole operators, what is recorded meanwhile, and what must hold whatever happens."""
