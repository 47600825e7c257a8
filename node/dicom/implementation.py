"""How the node names its implementation in associations and in files that it receives.

References
----------
PS3.7 annex D.3.3.2 (Implementation Class UID and Version Name), PS3.10 section 7.1.
"""

IMPLEMENTATION_CLASS_UID = "2.25.332017430505023181112371145265662590978"
IMPLEMENTATION_VERSION_NAME = "ONCONODE_01"
