"""What several rooms read of DICOM objects alike: damage, functional groups, frames of a SEG."""
