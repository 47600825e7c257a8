"""Instances -> complete study, chosen series, checked geometry.

``headers`` and ``folder`` read what was stored, ``select`` applies the routing rules, ``validate``
refuses what cannot become a volume and orders the rest along its normal, ``digest`` tells whether
content changed. Only headers are read here, never pixels.
"""
