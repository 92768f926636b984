"""The life of a NodeClaim, from the decision to buy it to the end of its instance."""
