"""Models of the integumentary system: none yet."""
