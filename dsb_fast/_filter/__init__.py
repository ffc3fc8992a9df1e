"""Which samples are kept: what is measured of a sample, and the language of conditions on it (docs/filters.md)."""
