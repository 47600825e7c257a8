"""Words, sentences and templates in both languages."""

from datetime import date

import pytest
from jinja2 import Environment

from node.language import choose_language, speak_in_templates, words_of


def test_english_stands_in_the_code_and_chinese_in_the_catalogs():
    assert words_of("en").gettext("Lesion %(number)s", number=2) == "Lesion 2"
    assert words_of("zh").gettext("Lesion %(number)s", number=2) == "病灶 2"


def test_what_has_no_translation_stays_english():
    assert words_of("zh").gettext("nobody ever translated this") == "nobody ever translated this"


def test_dates_are_written_as_they_are_read():
    day = date(2026, 3, 4)
    assert words_of("en").date(day) == "4 Mar 2026"
    assert words_of("zh").date(day) == "2026年3月4日"


def test_sentences_with_values_are_told_again():
    told = "outside the training range: novelty 3.10, limit 2.50"
    assert words_of("zh").retell(told) == "超出训练数据范围：新颖度 3.10，上限 2.50"
    assert words_of("en").retell(told) == told


def test_values_of_sentences_are_told_again_too():
    told = (
        "series number 7: about 3 slices are missing in gaps; only the longest run of 20 slices "
        "without a gap was evaluated."
    )
    assert words_of("zh").retell(told).startswith("序列号 7：")


def test_templates_speak_the_language_of_their_words():
    environment = Environment(autoescape=True)
    speak_in_templates(environment)
    template = environment.from_string(
        "{{ _('Lesion %(number)s', number=number) }}|"
        "{% trans number=number %}Lesion {{ number }}{% endtrans %}|{{ 'COMPLETE'|retell }}"
    )
    assert template.render(number="<1>") == "Lesion &lt;1&gt;|Lesion &lt;1&gt;|COMPLETE"
    assert (
        template.render(number="<1>", words=words_of("zh")) == "病灶 &lt;1&gt;|病灶 &lt;1&gt;|完整"
    )


@pytest.mark.parametrize(
    ("wanted", "header", "expected"),
    [
        (("zh",), "en", "zh"),
        ((None, "zh"), "en-GB;q=0.5, de;q=0.9", "en"),
        ((None, "en"), "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ((None, "zh"), "fr", "zh"),
        (("klingon",), "*;q=x, zh;q=0", "en"),
        ((), "", "en"),
    ],
)
def test_the_reader_chooses_then_the_browser_then_the_node(wanted, header, expected):
    assert choose_language(*wanted, accept_language=header) == expected
