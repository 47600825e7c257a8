"""Results as messages: HL7 v2 for a RIS, FHIR R4 for an electronic record.

Both are made of one ``Told``, and that of the report which SEG and SR are made of.
"""
