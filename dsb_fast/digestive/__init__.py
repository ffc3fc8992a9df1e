"""Models of the digestive system: none yet."""
