"""UIDs that depend on content only, so that the same result always has the same name."""

import hashlib
import uuid


def derive_uid(*parts: str) -> str:
    """Return the UID that belongs to the given parts.

    Parameters
    ----------
    *parts : str
        Whatever the object depends on; their order and borders count.

    Returns
    -------
    str
        A UID below ``2.25``, at most 44 characters.

    References
    ----------
    PS3.5 section B.2 (UUID derived UID), RFC 9562 section 5.5 (name-based UUIDs).
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return f"2.25.{uuid.UUID(bytes=digest.digest()[:16], version=5).int}"
