"""Models of the nervous system: none yet."""
