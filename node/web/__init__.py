"""The page of the node: what it does now, what it found, and what a person may do about it.

Its process serves FastAPI under ``onconode serve``; ``bootstrap`` makes the ``Services`` and calls
``create_app(services)``. No room below knows of it, and TensorFlow is not imported in it.

How a page is added
-------------------
1. ``pages/NAME.py`` has ``router = APIRouter()``; its functions are plain ``def`` (they run in
   threads, so they may ask the database) and end with ``render(request, "NAME.html", ...)``.
2. ``pages/__init__.py`` names the module in ``PAGES``; ``Entry`` puts it in the navigation.
3. ``templates/NAME.html`` begins with ``{% extends "base.html" %}`` and fills the blocks ``title``
   and ``main`` (``head`` for a further style sheet or script of ``static/``). There is no inline
   script and no inline style: the content security policy forbids both. Data for a script stand
   in ``data-`` attributes.
4. ``access.py`` has the one table of who may do what: where no line of it fits, a viewer may read
   (GET) and an operator may change (POST). Nothing but the login is open to strangers.

What every template has
-----------------------
``_`` and ``ngettext`` (texts of the reader's language), ``retell`` (a sentence of a result in that
language), ``language``, ``visitor`` (``name``, ``role``, ``may("operator")``), ``csrf_token``,
``settings`` (of the node), ``environment``, ``navigation``, ``static(name)`` (address of a file of
``static/``), and the filters ``moment`` (time of day in the reader's words), ``age`` (seconds as
``3 min``), ``size`` (bytes).

A form begins with ``<input type="hidden" name="csrf_token" value="{{ csrf_token }}">``; requests of
htmx carry the token by themselves (``hx-headers`` of ``body``). The gate refuses a change without
it before any code of a page runs. It takes at most 64 KiB, and no multipart; a path that takes more
stands in ``gate.UPLOADS``, counts what it takes, and gets the token as header ``X-CSRF-Token``.

What a page has
---------------
``services_of(request)`` (ledger, spool, models ...; ``services.py``), ``visitor_of(request)``, and
``auditing.py``: ``tell_viewed(request, study_uid)`` before a study is shown, ``tell_images_sent``
where only pixels are, ``tell_changed`` after something was done. ``PageFault(status, message)``
shows a page with a message.
"""
