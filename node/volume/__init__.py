"""Checked series -> Volume: decoding, rescaling and resampling of voxels.

``read`` decodes slice by slice into one block, ``resample`` goes to and from SimpleITK and other
grids. Order and geometry of the slices were settled when the series was checked. ``rtstruct`` and
``seg`` put outlines and segments of other objects on the grid of a volume.
"""
