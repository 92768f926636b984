"""The most valuable pods that one node can hold: a knapsack in several dimensions."""
