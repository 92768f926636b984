"""Whole plans: made of the fractions, bred, taken apart and put together again."""
