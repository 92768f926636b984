"""Nodes that are given back or replaced though nothing forces them to: which, how many at a time, and how. Budgets and
checks are pure; `carry` acts."""
