"""Audit trail by DICOM PS3.15 A.5: messages, the chained files that keep them, syslog."""
