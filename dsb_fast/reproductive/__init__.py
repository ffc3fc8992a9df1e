"""Models of the reproductive system: none yet."""
