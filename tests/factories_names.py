"""Headers in the character sets of hospitals, written byte by byte.

The bytes are made here by the rules of the standard and Python's codecs: a library that writes them
wrong and reads them wrong alike would judge itself.

References
----------
PS3.5 annexes H (Japanese), I (Korean), J (Unicode, GB18030, GBK) and K (GB 2312).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

GB2312, KOREAN = b"\x1b$)A", b"\x1b$)C"


@dataclass(frozen=True, kw_only=True)
class Lettering:
    """A character set with a name and a text in it.

    Parameters
    ----------
    character_set : str, list of str or None
        Specific Character Set; None where the sender forgot to tell it.
    name : str
        As a person reads it.
    raw_name : bytes
    text, raw_text : str and bytes
        Of other attributes.
    """

    character_set: str | list[str] | None
    name: str
    raw_name: bytes
    text: str
    raw_text: bytes


def _plain(character_set: str, codec: str, name: str, text: str) -> Lettering:
    return Lettering(
        character_set=character_set,
        name=name,
        raw_name=name.encode(codec),
        text=text,
        raw_text=text.encode(codec),
    )


def _behind_escapes(character_set: str, escape: bytes, codec: str, name: str) -> Lettering:
    """Every component with other letters begins with the escape sequence."""

    def encode(part: str) -> bytes:
        return part.encode() if part.isascii() else escape + part.encode(codec)

    groups = [[encode(part) for part in group.split("^")] for group in name.split("=")]
    text = name.split("=")[1].replace("^", "")
    return Lettering(
        character_set=["", character_set],
        name=name,
        raw_name=b"=".join(b"^".join(group) for group in groups),
        text=text,
        raw_text=encode(text),
    )


def _japanese(first: str, letters: str) -> Lettering:
    """JIS X 0208 by escape sequences, behind a first value without and with JIS X 0201."""
    back = b"\x1b(J" if first else b"\x1b(B"

    def encode(text: str) -> bytes:  # the codec writes the escape sequences, and goes back to ASCII
        return text.encode("iso2022_jp").replace(b"\x1b(B", back)

    groups = ["山田^太郎", "やまだ^たろう"]
    told = [b"^".join(encode(part) for part in group.split("^")) for group in groups]
    return Lettering(
        character_set=[first, "ISO 2022 IR 87"],
        name="=".join([letters, *groups]),
        raw_name=b"=".join([letters.encode("shift_jis"), *told]),
        text="頭部",
        raw_text=encode("頭部"),
    )


LETTERINGS: Mapping[str, Lettering] = {
    "GB18030": _plain("GB18030", "gb18030", "Wang^XiaoDong=王^小东镕㐂", "头颅增强"),
    "GBK": _plain("GBK", "gbk", "Zhang^XiaoMing=张^小明镕", "头颅增强"),
    "UTF-8": _plain("ISO_IR 192", "utf-8", "Zhang^XiaoMing=张^小明镕㐂", "头颅增强"),
    "Latin-1": _plain("ISO_IR 100", "latin-1", "Buc^Jérôme", "Tête"),
    "GB2312": _behind_escapes("ISO 2022 IR 58", GB2312, "gb2312", "Zhang^XiaoDong=张^小东"),
    "Korean": _behind_escapes("ISO 2022 IR 149", KOREAN, "euc_kr", "Hong^Gildong=洪^吉洞=홍^길동"),
    "Japanese": _japanese("", "Yamada^Tarou"),
    "Japanese-half-width": _japanese("ISO 2022 IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
}


def write_texts(paths: Iterable[Path], lettering: Lettering, keywords: Mapping[str, str]) -> None:
    """Put name and text of a character set into files, as bytes.

    Parameters
    ----------
    paths : iterable of Path
        Changed in place.
    lettering : Lettering
    keywords : mapping of str to str
        Keyword -> ``raw_name`` or ``raw_text``.
    """
    for path in paths:
        dataset = dcmread(path)
        dataset.SpecificCharacterSet = lettering.character_set
        if lettering.character_set is None:
            del dataset.SpecificCharacterSet
        written: dict[bytes, bytes] = {}
        for number, (keyword, field) in enumerate(keywords.items()):
            raw = getattr(lettering, field)
            raw += b" " * (len(raw) % 2)
            stands_for_it = b"%02d" % number + b"#" * (len(raw) - 2)
            setattr(dataset, keyword, stands_for_it.decode())
            written[stands_for_it] = raw
        dataset.save_as(path)
        content = path.read_bytes()
        for stands_for_it, raw in written.items():
            assert content.count(stands_for_it) == 1
            content = content.replace(stands_for_it, raw)
        path.write_bytes(content)
