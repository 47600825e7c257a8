"""The DICOM conformance statement, after the template of PS3.2 annex N.

Every table comes from code: presentation contexts from the lists that associations are made of,
statuses from the tables that answer, attributes from objects that were just made. What stands here
as prose says what no table can.

References
----------
PS3.2 annex N.
"""

from node import __version__
from node.bootstrap.conformance.behaviour import (
    acceptance,
    commitment_answers,
    configuration,
    initiation_statuses,
    store_answers,
    timers,
    tls_suites,
    web_services,
)
from node.bootstrap.conformance.claims import BOTH, SCP, SCU, Activity, Claim, accepted, proposed
from node.bootstrap.conformance.iods import objects_section
from node.bootstrap.conformance.tables import (
    ACCEPTED_HEADING,
    SYNTAXES_HEADING,
    SyntaxSets,
    claims_table,
    name_of,
    table,
)
from node.config.settings import NodeSettings
from node.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

NOT_STORAGE = ("Verification SOP Class", "Storage Commitment Push Model SOP Class")
WHEN = {
    "Verify": "`onconode echo`. `onconode doctor` does so, too, and then proposes Verification "
    "beside SEG and SR, to see what is taken.",
    "Send results": "Results of a job are due for a peer. SEG and SR are sent; where a peer takes "
    "no SEG, an RT Structure Set, or a Secondary Capture with a Key Object Selection; where it "
    "takes no Comprehensive 3D SR, a Comprehensive or an Enhanced SR (`results` and `reports` of "
    "the peer). A peer with `pdf: true` gets an Encapsulated PDF, too. All of these classes are "
    "proposed, each transfer syntax in a context of its own; compressed ones only for the objects "
    "at hand.",
    "Ask for commitment": "Results were accepted and `commitment` of the peer is not `off`. "
    "Verification is proposed beside it and not used: some archives abort associations of which "
    "they want nothing.",
    "Report on commitment": "A peer asked the node to commit and ended the association before the "
    "answer. The node proposes the SCP role by SCP/SCU role selection.",
    "Query": "Proof of delivery, counts of images, `onconode find`. Study Root; levels STUDY, "
    "SERIES and IMAGE; no relational queries.",
    "Have moved to the node": "Missing images (`assemble.fetch_missing: move`), `onconode fetch`. "
    "The destination is the node's own AE title.",
    "Get": "`assemble.fetch_missing: get`, `onconode fetch --get`. The node proposes the SCP role "
    "for each storage class by SCP/SCU role selection.",
}


def write_statement(node: NodeSettings) -> str:
    """Return the statement in Markdown.

    Parameters
    ----------
    node : NodeSettings
        AE title, ports, limits and time-outs are those of this configuration; what is negotiated
        does not depend on it.
    """
    claims, activities = accepted(), proposed()
    sets = SyntaxSets([*claims, *(claim for each in activities for claim in each.claims)])
    parts = (
        _cover(),
        _overview(claims, activities),
        _introduction(),
        _implementation(node),
        _acceptor(node, claims, sets),
        _initiator(node, activities, sets),
        f"### 4.4 {SYNTAXES_HEADING}\n\n{sets.table()}",
        web_services(),
        _network(node),
        _security(),
        f"## 8 Configuration\n\n{configuration(node)}",
        objects_section(node.report),
        _limits(),
    )
    return "\n\n".join(parts) + "\n"


def _cover() -> str:
    return f"""# DICOM conformance statement

<!-- Written by `onconode conformance --out dicom_conf/CONFORMANCE.md`; do not edit. -->

| product | version | for |
|---|---|---|
| OncoNode | {__version__} | research use; not a medical device, not for diagnosis |

Arranged after the template of DICOM PS3.2 annex N. Its tables are written by the program itself,
from the lists that it negotiates by; a test compares them with live associations."""


def _overview(claims: tuple[Claim, ...], activities: tuple[Activity, ...]) -> str:
    roles: dict[str, set[str]] = {}
    for claim in (*claims, *(claim for each in activities for claim in each.claims)):
        roles.setdefault(claim.sop_class_uid, set()).update(
            (SCU, SCP) if claim.role == BOTH else (claim.role,)
        )
    storage = [uid for uid in roles if _is_storage(uid)]
    rows = [
        [name_of(uid), "yes" if SCU in found else "no", "yes" if SCP in found else "no"]
        for uid, found in roles.items()
        if uid not in storage or SCU in found
    ]
    others = sum(SCU not in roles[uid] for uid in storage)
    rows.append([f"{others} further storage SOP classes (section 4.2)", "no", "yes"])
    return f"""## 1 Overview

The node receives CT and MR studies, finds and measures lesions with a trained model, and sends a
Segmentation and a Structured Report to archives.

### 1.1 Network services

{table(["SOP class", "SCU", "SCP"], rows)}

DICOMweb as user agent, in the place of DIMSE where a peer is so configured: STOW-RS, QIDO-RS,
WADO-RS (section 5). As origin server: none.

### 1.2 Media services

None."""


def _introduction() -> str:
    return """## 2 Introduction

For those who connect the node with other systems. DICOM conformance does not by itself guarantee
that two systems work together; `onconode doctor` tries a connection and tells what fails.
Terms are those of the DICOM standard. "Peer" is an application entity named in `peers.yaml`."""


def _implementation(node: NodeSettings) -> str:
    return f"""## 3 Implementation model

One application entity, by default `{node.ae_title}`, that accepts associations in one process (the
listener) and initiates them from others (the dispatcher, commands).

1. Objects arrive by C-STORE, each safe on disk and recorded before it is answered.
2. When a study is complete, or was quiet for long enough, rules choose series and model. Images
   that are missing may be counted (C-FIND, QIDO-RS) and fetched (C-MOVE, C-GET, WADO-RS).
3. SEG and SR are made and sent (C-STORE, STOW-RS) to every destination of the rule.
4. Each destination is asked to commit (N-ACTION); without an answer it is queried."""


def _acceptor(node: NodeSettings, claims: tuple[Claim, ...], sets: SyntaxSets) -> str:
    receive = node.receive
    return f"""## 4 Application entity specification

### 4.1 Association acceptance

| | |
|---|---|
| application context | `1.2.840.10008.3.1.1.1` |
| associations at a time | {receive.maximum_associations}, or fewer of a peer (`peers.yaml`) |
| presentation contexts in a request | 128, as PS3.8 has it; requests with more are ended |
| largest PDU offered | {receive.maximum_pdu_bytes} bytes |
| asynchronous operations | not supported |
| SOP class extended and common extended negotiation | not answered |
| user identity | not asked for; what is sent is ignored |
| Implementation Class UID | `{IMPLEMENTATION_CLASS_UID}` |
| Implementation Version Name | `{IMPLEMENTATION_VERSION_NAME}` |

Of several transfer syntaxes in a context the node takes the first that it names in its own order:
uncompressed before compressed without loss, before compressed with loss. What a peer has no
permission for (`permissions` in `peers.yaml`) is refused context by context (result 3).

{acceptance()}

### 4.2 {ACCEPTED_HEADING}

Storage level 2 (full): every attribute is kept as it came, private ones too. Nothing is coerced.
The letters in the last column are those of section 4.4. With `receive.answer_commitment: false`
requests for commitment are answered 0x0124; answers of peers are taken all the same.

{claims_table(claims, sets)}

#### 4.2.1 Answers to C-STORE

{store_answers()}

Objects with a status that is marked "kept" are kept in a quarantine folder for the operator.
An object that is there already with the same content is answered with 0x0000 and ignored.

#### 4.2.2 Answers to N-ACTION and N-EVENT-REPORT

{commitment_answers()}

The N-EVENT-REPORT goes out on the association of the request if the peer keeps it open, else on a
new one. The node is no archive: it commits to what it holds, for `jobs.keep_days` at most."""


def _initiator(node: NodeSettings, activities: tuple[Activity, ...], sets: SyntaxSets) -> str:
    sections = [
        f"#### 4.3.{number} {each.name}\n\n{WHEN[each.name]}\n\n{claims_table(each.claims, sets)}"
        for number, each in enumerate(activities, start=1)
    ]
    last = len(sections)
    return "\n\n".join(
        [
            f"""### 4.3 Association initiation

One association at a time to each destination, from each process. The same Implementation Class UID
and Version Name as in section 4.1; the largest PDU offered is {node.deliver.maximum_pdu_bytes}
bytes. No asynchronous operations, no extended negotiation, no user identity. Objects go in the
transfer syntax that they are stored in (Explicit VR Little Endian for results) where the peer takes
it, else they are transcoded without loss. `onconode send` proposes the classes and transfer
syntaxes of the files that it is given.""",
            *sections,
            f"#### 4.3.{last + 1} What a C-STORE status of a peer means\n\n{initiation_statuses()}",
            f"#### 4.3.{last + 2} Time-outs\n\n{timers(node)}",
        ]
    )


def _network(node: NodeSettings) -> str:
    tls = f"{node.tls.port}, where a certificate is configured"
    rows = [
        ["DICOM upper layer", str(node.port)],
        ["DICOM upper layer over TLS", tls],
        ["metrics and health over HTTP", "off as shipped (`metrics.port`)"],
    ]
    return f"""## 6 Network

TCP/IP over IPv4 and IPv6; whatever the operating system routes. Host names are resolved by the
operating system at each call. No DHCP, no LDAP, no Application Configuration Management.

{table(["inbound", "port"], rows)}

Clocks are the operating system's; let it run NTP (`onconode doctor` tells whether it does)."""


def _security() -> str:
    return f"""## 7 Security

Plain and TLS ports may be open side by side; `tls.listen: only` leaves the plain one shut.

Profile: BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 annex B), versions
1.2 and 1.3, authentication of both sides by X.509 certificates (`tls.require_client_certificate`).
Host names in certificates are checked unless `tls_check_host` is false. No renegotiation, no
compression, no session tickets. Cipher suites:

{tls_suites()}

Audit trail by PS3.15 A.5 in a chain of digests, and by syslog over TLS (RFC 5425) where it is
configured. No de-identification, no digital signatures, no encryption of attributes. Addresses,
called and calling AE titles are checked before an association is accepted (section 4.1)."""


def _limits() -> str:
    return """## 10 What is not done

No media, no printing, no worklist, no MPPS, no instance availability, no relevant patient query.
The node answers no queries and sends no object that it has received. Images of video transfer
syntaxes, of private transfer syntaxes and in JPEG XL are refused in the negotiation. Limits on
what comes in stand in [README.md](README.md)."""


def _is_storage(uid: str) -> bool:
    name = name_of(uid)
    return "Storage" in name and name not in NOT_STORAGE
