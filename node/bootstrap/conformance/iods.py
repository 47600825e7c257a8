"""The section of the statement on what is written into objects."""

import numpy as np

from node.bootstrap.conformance.objects import attributes_table, content_table, sample_results
from node.config.settings import ReportSettings
from node.report.key_object import build_key_object
from node.report.rtstruct import build_rtstruct
from node.report.secondary_capture import build_secondary_capture


def objects_section(settings: ReportSettings) -> str:
    """Return attributes and content of everything that is sent, read from samples."""
    seg, sr, paper = sample_results(settings)
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    rtstruct = build_rtstruct(seg)
    capture = build_secondary_capture(picture, seg)
    key_object = build_key_object(seg, capture)
    return f"""## 9 Objects that are made

Read from samples of a classic MR series, made by a bundle with a classifier. UIDs are derived from
content (`2.25.` and a number): the same images, model and settings give the same UIDs. Dates and
times are those of the images. Identity is copied from the images, in their character set; own text
is ASCII. Attributes without a value here have one that depends on the case. There are no private
attributes; codes of designator `99ONCONODE` are the node's own.

### 9.1 Segmentation

BINARY, one segment for each lesion, on the grid of the source images. Standard SOP class.

{attributes_table(seg)}

### 9.2 Structured report

Comprehensive 3D SR, else Comprehensive SR, else Enhanced SR, by what a destination takes; TID
1500. Standard SOP class. Completion Flag is COMPLETE, or PARTIAL where images were missing;
Verification Flag is always UNVERIFIED.

{attributes_table(sr)}

Its content, each kind of item once:

{content_table(sr)}

### 9.3 RT Structure Set

In the place of a SEG, where a destination does not take it. Standard extended SOP class: Tracking
ID and Tracking UID of each region.

{attributes_table(rtstruct)}

### 9.4 Secondary Capture

In the place of both, with a Key Object Selection.

{attributes_table(capture)}

### 9.5 Key Object Selection

{attributes_table(key_object)}

{content_table(key_object)}

### 9.6 Encapsulated PDF

Beside the structured report, for peers with `pdf: true`: one or two pages in English or Chinese
(`language`), which name the patient; all fonts are embedded. Standard SOP class.

{attributes_table(paper)}"""
