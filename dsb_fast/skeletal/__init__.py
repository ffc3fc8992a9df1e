"""Models of the skeletal system: none yet."""
