"""The present examination beside an earlier one of the same patient.

From two volumes, each with its segmentation, to a ``Comparison``: registered, lesions matched,
change measured. Where the earlier one comes from is not known here.
"""
