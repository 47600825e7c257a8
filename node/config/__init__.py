"""What the operator decides: yaml files and a few environment variables, read once.

``load`` is the only place that reads them; it hands on one frozen ``Settings`` or raises a
``SetupFault`` that lists every fault with file and line.
"""
