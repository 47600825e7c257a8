"""Findings become DICOM objects: a SEG, a TID 1500 SR and a picture, each checked before it leaves.

``write_evidence`` is the entrance: it builds the objects, decodes the segmentation again,
compares it with the mask in patient millimetres, and only then writes files. UIDs and dates are
derived from the content, so the same study processed twice gives the same bytes.
"""
