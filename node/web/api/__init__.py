"""The JSON API, version 1: what programs read of the node, and what they may do.

A program sends ``Authorization: Bearer TOKEN`` (``onconode users token``) and has the role of that
user; a browser that is logged in may ask as well. Nothing here names a patient.
"""

from collections.abc import Sequence

from fastapi import APIRouter

from node.web.api import node_state, probes, work

ROUTERS: Sequence[APIRouter] = (node_state.router, work.router)
"""Below ``/api/v1``."""
PROBES = probes.router
