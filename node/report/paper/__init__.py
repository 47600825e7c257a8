"""The report on paper: a PDF of one or two pages, in the reader's language.

``write_paper`` in ``document.py`` is the entrance. Pages are made by reportlab, with every font
embedded, and without the time of day: the same report has the same bytes.
"""
