"""Trained bundles: their manifest, their checks, and which one a rule means."""
