"""What people say of results by DICOM objects: recognised, measured against the node's result.

An object that a person has drawn, written or selected, and that refers to results of this node or
lies in their frame of reference, is an opinion on them. Nothing here changes a model or starts an
analysis; ``node/adr/016-feedback.md`` has the rules.
"""
