"""Slices of a study and the outlines over them, as a browser scrolls through them."""
