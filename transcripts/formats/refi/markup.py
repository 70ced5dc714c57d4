"""XML from strangers, read with the line of every element; no document type, no entities, bounded depth."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from xml.sax import SAXException, SAXParseException, handler
from xml.sax.xmlreader import AttributesNSImpl, Locator

import defusedxml.sax
from defusedxml import DefusedXmlException

MAX_DEPTH = 100
"""Elements within elements; a codebook this deep is no codebook."""


class Malformed(Exception):
    """What is wrong, and the line, from 1, when one is meant."""

    def __init__(self, line: int | None, what: str) -> None:
        self.line, self.what = line, what
        super().__init__(what)


@dataclass(slots=True)
class Element:
    """An element without its namespace; attributes with a namespace are left out."""

    name: str
    line: int
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""


def parse(data: bytes, namespace: str, root: str) -> Element:
    """The root element of a document, which must be ``root`` of ``namespace`` in any version of it.

    Elements of another namespace keep it in their name, so that nothing takes them for the standard's own.

    Raises:
        Malformed: it is not such a document, or holds a document type or entities.
    """
    family = namespace.rsplit(":", 1)[0] + ":"
    builder = _Builder(family)
    parser = defusedxml.sax.make_parser()
    parser.forbid_dtd = True
    parser.setFeature(handler.feature_namespaces, True)
    parser.setContentHandler(builder)
    parser.setErrorHandler(handler.ErrorHandler())
    try:
        parser.parse(io.BytesIO(data))
    except DefusedXmlException as error:
        raise Malformed(None, "holds a document type or entities, which are not allowed here") from error
    except SAXParseException as error:
        raise Malformed(error.getLineNumber(), f"is not XML: {error.getMessage()}") from error
    except (SAXException, ValueError, LookupError) as error:
        raise Malformed(None, f"is not XML: {error}") from error
    found = builder.root
    if found is None or found.name != root:
        name = found.name if found else "nothing"
        raise Malformed(1, f"begins with <{name}>, not with <{root}> of {namespace}")
    return found


class _Builder(handler.ContentHandler):
    def __init__(self, family: str) -> None:
        super().__init__()
        self.root: Element | None = None
        self._family = family
        self._open: list[Element] = []
        self._text: list[str] = []
        self._locator: Locator | None = None

    def setDocumentLocator(self, locator: Locator) -> None:  # noqa: N802 - the interface's name
        self._locator = locator

    def startElementNS(  # noqa: N802
        self, name: tuple[str | None, str], qname: str | None, attrs: AttributesNSImpl
    ) -> None:
        line = self._locator.getLineNumber() if self._locator else None
        if len(self._open) >= MAX_DEPTH:
            raise Malformed(line, f"elements lie more than {MAX_DEPTH} deep")
        plain = {str(key[1]): str(value) for key, value in attrs.items() if not key[0]}
        element = Element(self._named(*name), line or 1, plain)
        if self._open:
            self._keep_text()
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def endElementNS(self, name: tuple[str | None, str], qname: str | None) -> None:  # noqa: N802
        self._keep_text()
        self._open.pop()

    def characters(self, content: str) -> None:
        self._text.append(content)

    def _keep_text(self) -> None:
        self._open[-1].text += "".join(self._text)
        self._text.clear()

    def _named(self, namespace: str | None, local: str) -> str:
        ours = namespace is not None and namespace.startswith(self._family)
        return local if ours else f"{{{namespace or ''}}}{local}"
