"""The problem without what can not win, and plans of it, whole nodes at a time."""
