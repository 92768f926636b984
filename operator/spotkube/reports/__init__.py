"""A Plan for people and for machines."""
