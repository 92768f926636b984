"""Frozen values that every decision is made from: no I/O, no clock, no randomness."""
