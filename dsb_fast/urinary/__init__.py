"""Models of the urinary system: none yet."""
