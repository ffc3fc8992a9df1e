"""Models of the respiratory system: none yet."""
