"""Models of the cardiovascular system."""
