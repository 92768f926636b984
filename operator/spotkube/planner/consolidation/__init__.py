"""Which nodes in force are kept and which are given back or replaced, since that pays for moving their pods."""
