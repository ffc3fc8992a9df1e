"""Models of the endocrine system: none yet."""
