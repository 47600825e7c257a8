"""Every message that code and templates hold has its Chinese, with the same placeholders."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import node
from node.language.words import CATALOGS, LANGUAGES

ROOT = Path(node.__file__).parent
METHODS = [("**.py", "python"), ("**.html", "jinja2.ext:babel_extract")]
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def read_catalogs(language):
    messages = {}
    for path in sorted((CATALOGS / language).glob("*.po")):
        for message in read_po(path.read_bytes().splitlines(keepends=True), locale=language):
            if message.id:
                messages.setdefault((message.context, message.id), []).append((path.name, message))
    return messages


def extract_messages():
    found = extract_from_dir(
        ROOT, METHODS, {"**.html": {"trimmed": "true"}}, directory_filter=lambda _: True
    )
    return {(context, message): f"{name}:{line}" for name, line, message, _, context in found}


def test_every_message_has_a_translation():
    messages = extract_messages()
    assert len(messages) > 15
    for language in set(LANGUAGES) - {"en"}:
        known = read_catalogs(language)
        missing = [f"{place}: {key[1]!r}" for key, place in messages.items() if key not in known]
        assert not missing, "\n".join(missing)


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_translations_are_complete_and_keep_their_placeholders(language):
    for (_, message_id), found in read_catalogs(language).items():
        singular = message_id if isinstance(message_id, str) else message_id[-1]
        for name, message in found:
            told = message.string if isinstance(message.string, str) else message.string[0]
            assert told, f"{name}: {message_id!r} has no translation"
            assert not message.fuzzy, f"{name}: {message_id!r} is a guess"
            assert sorted(PLACEHOLDER.findall(told)) == sorted(PLACEHOLDER.findall(singular)), (
                f"{name}: placeholders of {message_id!r}"
            )


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_files_of_a_language_agree_with_each_other(language):
    for (_, message_id), found in read_catalogs(language).items():
        assert len({str(message.string) for _, message in found}) == 1, (
            f"{message_id!r} is told in several ways: {[name for name, _ in found]}"
        )
