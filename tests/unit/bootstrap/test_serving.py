"""What the supervisor gives to its children."""

from node.bootstrap.serving import environments_of


def test_all_but_the_workers_have_few_heaps() -> None:
    """Measured: the heaps of a dispatcher grew by 1 MB for each 100 studies, and with two by 0."""
    few = {"MALLOC_ARENA_MAX": "2"}
    found = environments_of(["scheduler", "worker-1", "worker-2", "dispatcher", "listener"])
    assert found == {"scheduler": few, "dispatcher": few, "listener": few}
