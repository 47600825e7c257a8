"""The types that the stages hand to each other; the lowest layer, free of I/O and of pydicom."""
