"""Models of the muscular system: none yet."""
