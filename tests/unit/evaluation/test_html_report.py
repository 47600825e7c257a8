import base64
import re
from html.parser import HTMLParser

import pytest

from node.evaluation.html_report import (
    NOTICE,
    Picture,
    Section,
    Table,
    Tile,
    render_html_report,
    write_html_report,
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Balance(HTMLParser):
    """Fails on tags that are not closed in the order they were opened."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.seen = []
        self.text = []
        self.attributes = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def sections():
    return [
        Section(heading="Purpose", text=["Finds <tumours> & marks them."], points=["one", "two"]),
        Section(
            heading="Figures",
            warnings=["Weak on gliomas."],
            tiles=[Tile(value="0.83", label="Dice", interval="0.78 to 0.87", words="overlap")],
            tables=[Table(columns=["type", "Dice"], rows=[["glioma", "0.5"]], caption="By type")],
        ),
        Section(
            heading="Pictures",
            pictures=[Picture(png=PNG, caption="Worst case", alt="a picture")],
            side_by_side=True,
        ),
    ]


def parse(html):
    page = Balance()
    page.feed(html)
    assert page.open == []
    return page


def test_a_page_holds_what_it_was_given_and_escapes_it(sections):
    page = parse(render_html_report(title="T1 <ce>", sections=sections, footer=["the end"]))
    text = " ".join(page.text)
    for words in ("T1 <ce>", "Finds <tumours> & marks them.", "0.78 to 0.87", "By type", "glioma",
                  "Weak on gliomas.", "Worst case", "the end", NOTICE):  # fmt: skip
        assert words in text, words
    assert page.seen.count("section") == 3
    assert page.seen.count("img") == 1
    assert ("alt", "a picture") in page.attributes


def test_a_page_needs_nothing_else(sections):
    html = render_html_report(title="Report", sections=sections)
    assert "<script" not in html
    assert "@import" not in html
    assert not re.search(r"url\(|https?://", html)
    sources = [value for name, value in parse(html).attributes if name in ("src", "href")]
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    picture = next(source for source in sources if source.startswith("data:"))
    assert base64.b64decode(picture.partition(",")[2]) == PNG


def test_links_of_the_contents_lead_to_sections(sections):
    page = parse(render_html_report(title="Report", sections=sections))
    links = {value[1:] for name, value in page.attributes if name == "href"}
    assert links == {value for name, value in page.attributes if name == "id"}


def test_a_report_is_a_file(tmp_path, sections):
    path = tmp_path / "report.html"
    write_html_report(path, title="Größe", sections=sections)
    assert "Größe" in path.read_text("utf-8")
