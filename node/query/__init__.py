"""Questions to archives: what they hold, and that they give it to us.

One protocol, ``Archive``, with two answers: C-FIND, C-MOVE and C-GET in ``dimse.py``, QIDO-RS and
WADO-RS in ``web.py``. It stands above the stages, for it uses the associations of ``deliver``;
stages that want to know something of an archive get a callable.
"""
