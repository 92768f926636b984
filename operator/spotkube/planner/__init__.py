"""Finds the cheapest nodes that hold the pods, and proves how close that is to the cheapest possible."""
