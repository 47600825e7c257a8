"""The store of opinions over both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from node.domain.feedback import FeedbackKind, FeedbackSource, OutlineAgreement, Voice
from node.storage.feedback import FeedbackStore
from tests.factories_feedback import NOON, make_opinion

HOUR = timedelta(hours=1)


@pytest.fixture
def store(engine: Engine) -> FeedbackStore:
    return FeedbackStore(engine, now=lambda: NOON + HOUR)


def test_an_opinion_comes_back_as_it_was(store: FeedbackStore) -> None:
    opinion = make_opinion(
        kind=FeedbackKind.CORRECTED_MASK,
        source=FeedbackSource.SEG,
        bundle_digest="f" * 64,
        region="1 Lesion",
        comment="Rand zu weit / 边缘",
        class_after="Benign",
        malignancy_probability=0.75,
        outline=OutlineAgreement(
            dice=0.5,
            surface_dice=0.75,
            tolerance_mm=2.0,
            hd95_mm=None,
            node_ml=2.0,
            reader_ml=1.0,
            is_resampled=True,
        ),
        result_sop_instance_uid="2.25.9",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
        sop_instance_uid="1.2.3.4",
    )
    added = store.add(opinion)
    assert added.is_new
    assert (added.feedback.version, added.feedback.recorded_at) == (1, NOON + HOUR)
    assert store.list() == (added.feedback,)
    assert store.get(added.feedback.feedback_id).opinion == opinion
    assert opinion.outline is not None


def test_a_later_word_supersedes_and_nothing_is_deleted(store: FeedbackStore) -> None:
    first = store.add(make_opinion()).feedback
    second = store.add(
        make_opinion(kind=FeedbackKind.CORRECTED_CLASS, class_after="Benign", at=NOON + HOUR)
    ).feedback
    assert (second.version, second.is_current) == (2, True)
    assert store.list() == (second,)
    kept = store.list(superseded=True)
    assert [(item.version, item.is_current) for item in kept] == [(2, True), (1, False)]
    assert store.history(first.feedback_id) == store.history(second.feedback_id) == kept[::-1]
    assert kept[1].opinion == first.opinion


def test_what_is_heard_late_but_was_said_before_supersedes_nothing(store: FeedbackStore) -> None:
    now = store.add(make_opinion(sop_instance_uid="1.2")).feedback
    late = store.add(make_opinion(sop_instance_uid="1.1", at=NOON - HOUR)).feedback
    assert (late.version, late.is_current) == (2, False)
    assert store.list() == (now,)
    assert not store.get(late.feedback_id).is_current


@pytest.mark.parametrize(
    "changes",
    [
        {"author": "bob"},
        {"tracking_uid": "2.25.2"},
        {"tracking_uid": None},
        {"job_id": "j2"},
        {"voice": Voice.ALGORITHM},
        {"kind": FeedbackKind.CORRECTED_MASK},
        {"kind": FeedbackKind.REJECTION},
    ],
)
def test_others_lesions_and_aspects_stand_beside_each_other(
    store: FeedbackStore, changes: dict[str, object]
) -> None:
    store.add(make_opinion())
    other = store.add(make_opinion(at=NOON + HOUR, **changes)).feedback
    assert (other.version, len(store.list())) == (1, 2)


@pytest.mark.parametrize(("author", "current"), [("Li^Anna", 1), ("(3D Slicer)", 2)])
def test_a_missed_lesion_of_nobody_named_supersedes_none(
    store: FeedbackStore, author: str, current: int
) -> None:
    """Tools call the first segment of every object alike; a person's later object is her last."""
    for number in (1, 2):
        store.add(
            make_opinion(
                kind=FeedbackKind.CORRECTED_MASK,
                source=FeedbackSource.SEG,
                author=author,
                tracking_uid=None,
                region="1 Segment_1",
                sop_instance_uid=f"1.2.{number}",
                at=NOON + number * HOUR,
            )
        )
    assert len(store.list()) == current
    assert len(store.list(superseded=True)) == 2


def test_the_same_click_twice_is_one_and_back_and_forth_is_three(store: FeedbackStore) -> None:
    first = store.add(make_opinion())
    again = store.add(make_opinion(at=NOON + HOUR))
    assert not again.is_new
    assert again.feedback == first.feedback
    store.add(make_opinion(kind=FeedbackKind.DISAGREE, at=NOON + 2 * HOUR))
    back = store.add(make_opinion(at=NOON + 3 * HOUR))
    assert (back.is_new, back.feedback.version) == (True, 3)


def test_an_object_counts_once_also_after_a_later_one(store: FeedbackStore) -> None:
    seen = make_opinion(source=FeedbackSource.SEG, sop_instance_uid="1.1")
    store.add(seen)
    store.add(make_opinion(source=FeedbackSource.SEG, sop_instance_uid="1.2", at=NOON + HOUR))
    again = store.add(seen)
    assert not again.is_new
    assert (again.feedback.version, again.feedback.is_current) == (1, False)
    assert len(store.list(superseded=True)) == 2


def test_lists_are_by_study_job_lesion_author_bundle_and_time(store: FeedbackStore) -> None:
    store.add(make_opinion())
    other = store.add(
        make_opinion(
            study_instance_uid="1.3",
            job_id="j2",
            tracking_uid="2.25.2",
            author="bob",
            bundle="lung",
            kind=FeedbackKind.DISAGREE,
            voice=Voice.ALGORITHM,
            at=NOON + HOUR,
        )
    ).feedback
    assert store.list(study="1.3") == (other,)
    assert store.list(job="j2") == (other,)
    assert store.list(tracking_uid="2.25.2") == (other,)
    assert store.list(author="bob") == (other,)
    assert store.list(bundle="lung") == (other,)
    assert store.list(kinds=[FeedbackKind.DISAGREE]) == (other,)
    assert store.list(voice=Voice.ALGORITHM) == (other,)
    assert store.list(since=NOON + HOUR) == (other,)
    assert store.list(limit=1) == (other,)
    assert [item.opinion.author for item in store.list(before=NOON + HOUR)] == ["anna"]
    assert store.list(study="9") == ()


def test_two_at_once_get_versions_of_their_own(store: FeedbackStore) -> None:
    opinions = [make_opinion(sop_instance_uid=f"1.{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(store.add, opinions))
    assert sorted(item.feedback.version for item in added) == [1, 2, 3, 4]
    assert [item.version for item in store.list()] == [4]


def test_what_is_not_there_is_not_found(store: FeedbackStore) -> None:
    with pytest.raises(KeyError):
        store.get(7)
    with pytest.raises(KeyError):
        store.history(7)
