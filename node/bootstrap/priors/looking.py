"""Wiring: where the settings let earlier examinations be looked for, and for how long."""

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import structlog

from node.assemble.earlier_report import parse_date
from node.bootstrap.asking import archive_of, fetch_to_node
from node.bootstrap.parts import Parts
from node.bootstrap.priors.finding import FoundPrior, find_prior
from node.bootstrap.priors.own_archive import OwnArchive
from node.bootstrap.priors.peer_archive import PeerArchive
from node.bootstrap.priors.places import Folders, Place, Sought
from node.config.settings import OWN_ARCHIVE
from node.dicom.patient import read_identity
from node.domain.errors import TryLater
from node.domain.report import ModelIdentity
from node.domain.study import Series
from node.jobs.job import Job
from node.jobs.rejected import rejected_among
from node.query.dimse import DimseArchive
from node.query.found import Wanted
from node.storage.scratch import scratch_folder

log = structlog.get_logger()


def describe_sought(series: Series, model: ModelIdentity) -> Sought:
    """Say whose earlier examinations are sought: of the patient in the headers of a series."""
    identity = read_identity(series.instances[0].path)
    return Sought(
        identity=identity,
        study_instance_uid=series.study_instance_uid,
        modality=series.modality,
        study_date=parse_date(identity.study_date),
        bundle=model.name,
        version=model.version,
        digest=model.digest,
    )


def look_in_folders(paths: Sequence[Path], series: Series, model: ModelIdentity) -> FoundPrior:
    """Look for an earlier result where a person says it is.

    Parameters
    ----------
    paths : sequence of Path
        Folders with SR, SEG and images of earlier examinations, or single reports.
    series : Series
        The present one.
    model : ModelIdentity
    """
    sought = describe_sought(series, model)
    found = find_prior(sought, [Folders(paths=paths)], [model.device_uid])
    if found.prior is None and not found.remarks:
        return FoundPrior(remarks=("no earlier result of this task was found in the folder",))
    return found


def look_in_archives(
    parts: Parts, job: Job, series: Series, model: ModelIdentity, *, fetched: ExitStack
) -> FoundPrior:
    """Look for an earlier result where the settings say; what fails is a remark.

    Parameters
    ----------
    parts : Parts
    job : Job
        Its rule may want no comparison.
    series : Series
        The present one.
    model : ModelIdentity
    fetched : ExitStack
        Closed when the job is done: what was fetched is removed then.
    """
    settings = parts.settings.node.priors
    rule = {rule.name: rule for rule in parts.settings.routing}.get(job.rule)
    if not settings.look_in or (rule is not None and not rule.compare):
        return FoundPrior()
    sought = describe_sought(series, model)
    place = fetched.enter_context(scratch_folder(parts.settings.node.data_dir, "priors"))
    until_s = time.monotonic() + settings.timeout_s
    places = [_place_of(parts, name, place, until_s) for name in settings.look_in]
    device_uids = parts.models.device_uids()
    rejected = partial(rejected_among, parts.engine)
    found: list[FoundPrior] = []
    # beside, and left to itself when its time is over: a peer that hangs must not hold a result up
    search = threading.Thread(
        target=lambda: found.append(find_prior(sought, places, device_uids, rejected=rejected)),
        name="priors",
        daemon=True,
    )
    search.start()
    search.join(settings.timeout_s)
    if found:
        return found[0]
    log.warning("priors.not_found_out", took_too_long=search.is_alive())
    why = f"took longer than {settings.timeout_s:g} s" if search.is_alive() else "failed"
    return FoundPrior(remarks=(f"the search for earlier examinations {why}",))


def _place_of(parts: Parts, name: str, folder: Path, until_s: float) -> Place:
    if name == OWN_ARCHIVE:
        return OwnArchive(parts=parts)
    settings = parts.settings
    peer = settings.peer(name)
    archive = archive_of(settings, peer)

    def get(wanted: Wanted) -> Sequence[Path]:
        place = folder / name / wanted.series_instance_uid
        fetched = archive.get(wanted, place)
        if fetched.failed:
            raise TryLater(f"{name}: {fetched.failed} objects could not be fetched")
        return fetched.paths

    def move(wanted: Wanted) -> Sequence[Path]:
        fetch_to_node(settings, peer, wanted)
        uids = set(wanted.sop_instance_uids)
        return [
            item.instance.path
            for item in parts.store.received_of(wanted.study_instance_uid)
            if item.series_instance_uid == wanted.series_instance_uid
            and (not uids or item.instance.sop_instance_uid in uids)
        ]

    by_move = settings.node.priors.fetch == "move" and isinstance(archive, DimseArchive)
    return PeerArchive(
        name=name,
        archive=archive,
        fetch=move if by_move else get,
        sr_series_number=settings.node.report.sr_series_number,
        maximum_studies=settings.node.priors.maximum_studies,
        until_s=until_s,
    )
