"""How much a DICOM object may hold; dicom_conf/README.md, "Limits", has the whole list.

Honest objects stay far below: the largest in use are Enhanced MR of some 10,000 frames, RT
Structure Sets of some 10,000 contours, and SEG of whole-body structures.
"""

MAXIMUM_DEPTH = 32
"""Of sequences in sequences."""
MAXIMUM_ELEMENTS = 2_000_000
"""Elements and items of an object together; a hostile one must not cost minutes."""
MAXIMUM_INFLATED_BYTES = 512 << 20
"""Of a deflated object: who reads its header has all of it in memory."""

MAXIMUM_FRAMES = 50_000
"""Of one object."""
MAXIMUM_FRAME_PIXELS = 1 << 26
"""8192 x 8192: one frame is decoded at a time."""
MAXIMUM_VOXELS = 1 << 30
"""Of a volume, e.g. 4096 slices of 512 x 512; 2 GiB as int16."""
MAXIMUM_SEG_PIXELS = 1 << 31
"""Rows x columns x frames of a SEG that points at lesions; 256 MiB of packed bits."""
COMPRESSED_FACTOR = 2
COMPRESSED_EXTRA_BYTES = 1 << 16
"""A compressed frame is no larger than twice its pixels and that."""

MAXIMUM_REGIONS = 1_000
"""Segments, structures or groups of one object that points at lesions."""
MAXIMUM_CONTENT_ITEMS = 200_000
"""Of a structured report."""
MAXIMUM_CONTOURS = 5_000
"""Of one structure or group: each may need a plane of its own."""
MAXIMUM_POINTS = 1_000_000
"""Of the outlines of one structure or group."""
MAXIMUM_PROMPTS = 200
"""Of a study: each is segmented by itself."""
