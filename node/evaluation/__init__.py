"""Figures that judge a model: overlap, discrimination, intervals over patients."""
