"""The problem in fractions: column generation, the prices of pods, and the bound that they prove."""
