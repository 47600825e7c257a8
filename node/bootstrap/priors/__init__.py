"""Earlier examinations of a patient: looked for, read back, and handed to the pipeline.

Whatever goes wrong here is a remark in the result, and never stops it.
"""
