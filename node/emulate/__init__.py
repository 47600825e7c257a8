"""Stand-ins for the outside world: sample studies, a modality that sends and an archive that keeps.

The demo, the doctor and the tests use them; the node itself never does.
"""
