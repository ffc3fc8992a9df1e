"""Models of the lymphatic system: none yet."""
