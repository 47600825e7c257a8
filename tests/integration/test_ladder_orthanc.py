"""The delivery ladder through a router that refuses forms, to Orthanc: the next one ends there.

Orthanc itself takes every SOP class, and its filters answer with success whatever they drop. So
dcmtk's storescp stands before it, as routers do: it takes only some classes, and passes each object
on before it answers.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ladder_sender import make_result, opened_sender
from peers_dcmtk import running_storescp
from peers_orthanc import Orthanc, running_orthanc
from tools import require_dcmtk

from node.config.settings import DeliverSettings, Peer
from node.deliver.ladder import CLASS_OF_FORM, FORM_OF_CLASS
from node.domain.report import Evidence
from node.jobs.job import DeliveryState
from node.jobs.state import JobState

SETTINGS = DeliverSettings(acse_timeout_s=20, dimse_timeout_s=60)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, ...]:
    return make_result(tmp_path_factory.mktemp("made"))


@contextmanager
def running_router(folder: Path, orthanc: Orthanc, *, without: tuple[str, ...]) -> Iterator[Peer]:
    """Run storescp with contexts for all forms but some; it sends to Orthanc what it gets."""
    taken = [uid for form, uid in CLASS_OF_FORM.items() if form not in without]
    contexts = "\n".join(
        f"PresentationContext{number} = {uid}\\Plain" for number, uid in enumerate(taken, 1)
    )
    folder.mkdir()
    (folder / "router.cfg").write_text(
        "[[TransferSyntaxes]]\n[Plain]\nTransferSyntax1 = LittleEndianExplicit\n"
        f"[[PresentationContexts]]\n[Taken]\n{contexts}\n"
        "[[Profiles]]\n[Router]\nPresentationContexts = Taken\n"
    )
    send = f"{require_dcmtk('storescu')} -R -aec ORTHANC 127.0.0.1 {orthanc.peer.port} #p/#f"
    options = ("-xf", str(folder / "router.cfg"), "Router", "-uf", "-xcr", send, "-xs")
    with running_storescp(folder, *options) as (peer, _):
        yield peer


def forms_in(orthanc: Orthanc, received: Path) -> Counter[str]:
    """How many objects of each form the router got, all of which are in Orthanc."""
    held = [
        orthanc.get_bytes(f"/instances/{instance}/metadata/SopClassUid").decode()
        for instance in orthanc.get("/instances")
    ]
    assert len(list(received.iterdir())) == len(held), "an object was sent twice, or got lost"
    return Counter(FORM_OF_CLASS[sop_class] for sop_class in held)


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ((), ("comprehensive_3d", "seg")),
        (("seg",), ("comprehensive_3d", "rtstruct")),
        (("seg", "rtstruct"), ("comprehensive_3d", "key_object", "secondary_capture")),
    ],
    ids=["nothing", "SEG", "SEG and RTSTRUCT"],
)
def test_a_refused_form_is_replaced_and_every_object_is_in_orthanc_once(
    tmp_path: Path,
    result: tuple[Evidence, ...],
    without: tuple[str, ...],
    expected: tuple[str, ...],
) -> None:
    with (
        running_orthanc(tmp_path / "orthanc") as orthanc,
        running_router(tmp_path / "router", orthanc, without=without) as router,
        opened_sender(tmp_path, result, destination=router.name, settings=SETTINGS) as sender,
    ):
        assert sender.send(router) is JobState.DELIVERED
        assert forms_in(orthanc, tmp_path / "router/received") == Counter(expected)
        assert set(sender.states().values()) <= {DeliveryState.ACCEPTED, DeliveryState.REPLACED}
