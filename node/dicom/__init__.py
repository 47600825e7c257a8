"""What several rooms read of DICOM objects in the same way: damage, and the frames of a SEG."""
