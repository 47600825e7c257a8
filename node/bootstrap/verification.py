"""``onconode models verify``."""

from node.pipeline import check_golden, open_toolbox
from node.registry.bundle import Bundle


def verify_bundle(bundle: Bundle) -> None:
    """Run the golden case of a bundle whose files were checked on loading.

    Raises
    ------
    SetupFault
        If something else comes out than when it was packaged.
    """
    check_golden(open_toolbox(bundle))
