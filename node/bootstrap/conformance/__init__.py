"""``dicom_conf/CONFORMANCE.md``: what the node negotiates, written from the tables it works by."""
