"""Statuses, rejections, time-outs and settings of the statement, from the tables in code."""

import ssl

from node.bootstrap.conformance.tables import table
from node.config.settings import DeliverSettings, NodeSettings, ReceiveSettings
from node.deliver.status import STATUS_TABLE, UNKNOWN, Verdict
from node.dicom.tls import CIPHERS
from node.receive import admission, commitment
from node.receive.status import FAULTS, INVALID_SOP_INSTANCE, OUT_OF_RESOURCES, SUCCESS, Fault

RESULTS = {admission.PERMANENT: "permanent", admission.TRANSIENT: "transient"}
SOURCES = {
    admission.SERVICE_USER: "service user",
    admission.ACSE: "service provider, ACSE",
    admission.PRESENTATION: "service provider, presentation",
}
REJECTIONS = (
    (admission.TEMPORARY_CONGESTION, "would store, and the disk is below its soft mark"),
    (admission.NO_REASON_GIVEN, "address not within `receive.allowed_addresses`"),
    (admission.APPLICATION_CONTEXT, "another application context than DICOM's"),
    (admission.CALLED_AE_TITLE, "called AE title is not the node's"),
    (admission.CALLING_AE_TITLE, "calling AE title not known, or not from that address"),
    (admission.LOCAL_LIMIT_EXCEEDED, "too many associations of the peer, or of all"),
    ((1, 2, 2), "protocol version is not 1"),
)
COMMITMENT_STATUSES = (
    (commitment.SUCCESS, "taken, and written down"),
    (commitment.PROCESSING_FAILURE, "the ledger cannot be written now; ask again"),
    (commitment.NO_SUCH_INSTANCE, "not the well-known instance of the service"),
    (
        commitment.INVALID_ARGUMENT_VALUE,
        "UIDs missing or invalid, too many objects; in a report: an unknown transaction",
    ),
    (commitment.NO_SUCH_ACTION, "another action than 1"),
    (commitment.NOT_AUTHORIZED, "`receive.answer_commitment` is false"),
)
NEXT = {
    Verdict.ACCEPTED: "accepted: not sent again",
    Verdict.RETRY: "sent again, with growing waits",
    Verdict.GIVE_UP: "not sent again in this form; a lesser form stands in, or a person decides",
}


def acceptance() -> str:
    """Return when an association is rejected, in the order in which it is asked."""
    rows = [
        [why, f"{result} ({RESULTS[result]})", f"{source} ({SOURCES[source]})", reason]
        for (result, source, reason), why in REJECTIONS
    ]
    return table(["rejected when", "result", "source", "reason"], rows)


def store_answers() -> str:
    """Return every status that a C-STORE may be answered with."""
    rows = [[f"0x{SUCCESS.status:04X}", "success", "stored, or there already", "", ""]]
    rows += [
        [f"0x{each.status:04X}", code, each.comment, "yes" if each.keep else "", _retry(each)]
        for code, each in sorted(FAULTS.items(), key=lambda item: (item[1].status, item[0]))
    ]
    return table(["status", "fault", "error comment", "kept", "sender"], rows)


def commitment_answers() -> str:
    """Return the statuses of the Storage Commitment SCP."""
    rows = [[f"0x{status:04X}", meaning] for status, meaning in COMMITMENT_STATUSES]
    return table(["status", "meaning"], rows)


def initiation_statuses() -> str:
    """Return what the node does after each status of a peer."""
    rows = [
        [
            f"0x{rule.first:04X}" + (f" to 0x{rule.last:04X}" if rule.last != rule.first else ""),
            rule.meaning,
            NEXT[rule.verdict],
        ]
        for rule in STATUS_TABLE
    ]
    rows.append(["any other, or none", UNKNOWN.meaning, NEXT[UNKNOWN.verdict]])
    return table(["status", "meaning", "what the node does"], rows)


def timers(node: NodeSettings) -> str:
    """Return the time-outs of both directions."""
    receive, deliver = node.receive, node.deliver
    rows = [
        ["ARTIM, as acceptor", "receive.acse_timeout_s", receive.acse_timeout_s],
        ["rest of a message, as acceptor", "receive.dimse_timeout_s", receive.dimse_timeout_s],
        ["idle association", "receive.network_timeout_s", receive.network_timeout_s],
        ["answer to A-ASSOCIATE-RQ", "deliver.acse_timeout_s", deliver.acse_timeout_s],
        ["answer to a DIMSE request", "deliver.dimse_timeout_s", deliver.dimse_timeout_s],
        ["end of C-MOVE and C-GET", "deliver.dimse_timeout_s, at least", 600],
        [
            "answer to commitment on the same association",
            "deliver.commitment_wait_s",
            deliver.commitment_wait_s,
        ],
        [
            "answer to commitment on any association",
            "deliver.commitment_timeout_s",
            deliver.commitment_timeout_s,
        ],
        ["first wait before sending again", "deliver.retry_backoff_s", deliver.retry_backoff_s],
        [
            "longest wait before sending again",
            "deliver.retry_backoff_maximum_s",
            deliver.retry_backoff_maximum_s,
        ],
    ]
    told = [[what, f"`{key}`", f"{value:g} s"] for what, key, value in rows]
    return table(["time-out", "setting", "value"], told)


def tls_suites() -> str:
    """Return the cipher suites that both sides of the node offer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    suites = sorted(
        ((str(each["protocol"]), str(each["name"])) for each in context.get_ciphers()),
        reverse=True,
    )
    return table(["version", "suite"], [[version, f"`{name}`"] for version, name in suites])


def web_services() -> str:
    """Return the DICOMweb section."""
    rows = [
        ["STOW-RS", "POST `/studies`", "`application/dicom` in `multipart/related`, one object"],
        ["QIDO-RS", "GET `/studies`", "`application/dicom+json`"],
        ["QIDO-RS", "GET `/studies/{study}/series`", "`application/dicom+json`"],
        [
            "QIDO-RS",
            "GET `/studies/{study}/series/{series}/instances`",
            "`application/dicom+json`",
        ],
        ["WADO-RS", "GET `/studies/{study}`", "`application/dicom`, any transfer syntax"],
        [
            "WADO-RS",
            "GET `/studies/{study}/series/{series}`",
            "`application/dicom`, any transfer syntax",
        ],
        [
            "WADO-RS",
            "GET `/studies/{study}/series/{series}/instances/{instance}`",
            "`application/dicom`, any transfer syntax",
        ],
    ]
    return f"""## 5 DICOMweb

As user agent, where `dicomweb` of a peer says so. HTTP Basic or Bearer authentication, over TLS
where the URL is `https`. Proxies and credentials of the environment are not used.

{table(["transaction", "resource", "media type"], rows)}

HTTP 401, 403, 407, 408, 425, 429, 500, 502, 503, 504 and 507 are tried again, other refusals are
not. A Failure Reason in the answer to STOW-RS counts as the C-STORE status of the same number."""


def configuration(node: NodeSettings) -> str:
    """Return the settings of the AE that matter to peers."""
    rows: list[list[object]] = [
        ["`ae_title`", node.ae_title],
        ["`bind_address`", node.bind_address],
        ["`port`", node.port],
        ["`tls.port`", node.tls.port],
        ["`accept_unknown_peers`", str(node.accept_unknown_peers).lower()],
    ]
    for name, model, values in (
        ("receive", ReceiveSettings, node.receive),
        ("deliver", DeliverSettings, node.deliver),
    ):
        for key in model.model_fields:
            value = getattr(values, key)
            told = str(value).lower() if isinstance(value, bool) else value
            rows.append([f"`{name}.{key}`", "empty" if value == () else told])
    return f"""AE titles are mapped to hosts and ports in `peers.yaml`, by hand. A peer is known by
its calling AE title and, where `allowed_addresses` is given, its address. All keys stand in
[README.md](README.md); those that matter to peers:

{table(["key", "value"], rows)}"""


def _retry(fault: Fault) -> str:
    if fault.status == OUT_OF_RESOURCES:
        return "may send it later"
    return "has to mend its UID" if fault.status == INVALID_SOP_INSTANCE else "should not repeat it"
