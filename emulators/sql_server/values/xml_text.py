"""Text as the type xml keeps it: parsed, without its declaration and without insignificant white space."""

from __future__ import annotations

import re
from xml.parsers import expat

from emulators.sql_server.values.errors import unsupported
from emulators.sql_server.values.results import SqlError

_ROOT = "rowpost-fragment"
_DECLARATION = re.compile(r"^\s*<\?xml\s[^>]*?\?>", re.IGNORECASE)
_ENCODING = re.compile(r"encoding\s*=\s*[\"']([\w.-]+)[\"']", re.IGNORECASE)
_ENDS_TOO_EARLY = frozenset(
    {expat.errors.codes[text] for text in (expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN)}
)
_TAG_MISMATCH = expat.errors.codes[expat.errors.XML_ERROR_TAG_MISMATCH]
_IN_TEXT = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#x0D;"}
_IN_ATTRIBUTE = {**_IN_TEXT, '"': "&quot;", "\t": "&#x09;", "\n": "&#x0A;"}


class _Writer:
    """Writes what the parser reads, in the one form that the type has."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.open = ""
        self.text: list[str] = []
        self.keep: list[bool] = [False]

    def flush(self) -> None:
        text, self.text = "".join(self.text), []
        if text.strip(" \t\r\n") or text and self.keep[-1]:
            self.close_tag()
            self.out.append("".join(_IN_TEXT.get(character, character) for character in text))

    def close_tag(self) -> None:
        if self.open:
            self.out.append(f"{self.open}>")
            self.open = ""

    def start(self, name: str, attributes: list[str]) -> None:
        self.flush()
        self.close_tag()
        pairs = list(zip(attributes[::2], attributes[1::2], strict=True))
        space = dict(pairs).get("xml:space")
        self.keep.append(space == "preserve" if space in ("preserve", "default") else self.keep[-1])
        if len(self.keep) > 2:
            self.open = f"<{name}" + "".join(f' {key}="{_escaped(value)}"' for key, value in pairs)

    def end(self, name: str) -> None:
        self.flush()
        self.keep.pop()
        if len(self.keep) == 1:
            return
        if self.open:
            self.out.append(f"{self.open}/>")
            self.open = ""
        else:
            self.out.append(f"</{name}>")

    def comment(self, text: str) -> None:
        self.flush()
        self.close_tag()
        self.out.append(f"<!--{text}-->")

    def instruction(self, target: str, data: str) -> None:
        self.flush()
        self.close_tag()
        self.out.append(f"<?{target} {data}?>" if data else f"<?{target}?>")


def _escaped(value: str) -> str:
    return "".join(_IN_ATTRIBUTE.get(character, character) for character in value)


def xml_text(text: str) -> str:
    """The stored form of an XML document or fragment. Raises SqlError 6359, 9400, 9402, 9436 and 40517."""
    text = text.removeprefix("\ufeff")
    declaration = _DECLARATION.match(text)
    if declaration is not None:
        _check_encoding(declaration[0], text)
        text = text[declaration.end() :]
    if "<!DOCTYPE" in text.upper():
        raise SqlError(
            6359,
            "Parsing XML with internal subset DTDs not allowed. Use CONVERT with style option 2 to enable limited internal subset "
            "DTD support.",
        )
    writer = _Writer()
    parser = expat.ParserCreate("utf-8")
    parser.ordered_attributes = True
    parser.StartElementHandler = writer.start
    parser.EndElementHandler = writer.end
    parser.CommentHandler = writer.comment
    parser.ProcessingInstructionHandler = writer.instruction
    parser.CharacterDataHandler = lambda part: writer.text.append(part)
    try:
        parser.Parse(f"<{_ROOT}>{text}</{_ROOT}>".encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as error:
        raise _translated(error, text) from None
    return "".join(writer.out)


def _check_encoding(declaration: str, text: str) -> None:
    """Text of nvarchar is UTF-16; the code pages agree only on ASCII. Raises SqlError 9402."""
    found = _ENCODING.search(declaration)
    name = found[1].lower() if found is not None else "utf-16"
    if name in ("utf-16", "ucs-2") or text.isascii() and name in ("utf-8", "us-ascii", "iso-8859-1", "windows-1252"):
        return
    raise _error(9402, 1, len(declaration), "unable to switch the encoding")


def _translated(error: expat.ExpatError, text: str) -> SqlError:
    line, column = error.lineno, error.offset + 1 - (len(_ROOT) + 2 if error.lineno == 1 else 0)
    lines = text.split("\n")
    at_end = line > len(lines) or line == len(lines) and column >= len(lines[-1])
    if error.code in _ENDS_TOO_EARLY or at_end:
        return _error(9400, len(lines), len(lines[-1]), "unexpected end of input")
    if error.code == _TAG_MISMATCH:
        return _error(9436, line, column, "end tag does not match start tag")
    return unsupported(f"XML that is not well-formed: {expat.ErrorString(error.code)}")


def _error(number: int, line: int, character: int, what: str) -> SqlError:
    return SqlError(number, f"XML parsing: line {line}, character {character}, {what}")
