"""Several objects recorded in one transaction, as the listener's group commit does."""

from pathlib import Path

from sqlalchemy import Engine

from node.domain.study import InstanceRef
from node.storage.instances import InstanceStore, ReceivedInstance, Recorded


def make_received(number: int, *, sha256: str = "a", study: str = "1.1") -> ReceivedInstance:
    return ReceivedInstance(
        instance=InstanceRef(
            sop_instance_uid=f"1.3.{number}",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            path=Path(f"/spool/{number}.dcm"),
            sha256=sha256,
        ),
        study_instance_uid=study,
        series_instance_uid="1.2",
        modality="CT",
        calling_ae_title="CT1",
        size_bytes=10,
    )


def test_every_object_of_a_batch_has_its_own_outcome(engine: Engine) -> None:
    store = InstanceStore(engine)
    store.record(make_received(1))
    batch = [
        make_received(1),
        make_received(1, sha256="b"),
        make_received(2),
        make_received(2),
        make_received(2, sha256="b"),
        make_received(3, study="1.9"),
    ]
    assert store.record_all(batch) == [
        Recorded.DUPLICATE,
        Recorded.CONFLICT,
        Recorded.NEW,
        Recorded.DUPLICATE,
        Recorded.CONFLICT,
        Recorded.NEW,
    ]
    assert [each.instance.sop_instance_uid for each in store.received_of("1.1")] == [
        "1.3.1",
        "1.3.2",
    ]
    assert store.received_of("1.9") == (make_received(3, study="1.9"),)


def test_a_batch_marks_its_studies_dirty(engine: Engine) -> None:
    store = InstanceStore(engine)
    store.record_all([make_received(1), make_received(2, study="1.9")])
    seen = store.last_received("1.9")
    assert store.mark_assembled("1.9", seen_last_received_at=seen, digest="d")
    store.record_all([make_received(3, study="1.9")])
    assert store.last_received("1.9") > seen
    assert not store.mark_assembled("1.9", seen_last_received_at=seen, digest="d")


def test_an_empty_batch_is_nothing(engine: Engine) -> None:
    assert InstanceStore(engine).record_all([]) == []
