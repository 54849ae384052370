"""What a browser would make of the HTML and the drawings that notebooks show."""

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

SVG = "{http://www.w3.org/2000/svg}"


class Page(HTMLParser):
    """What a browser makes of HTML: the cells of all tables, and that every element ends where it should."""

    def __init__(self, source):
        super().__init__()
        self.rows, self.words, self._open = [], [], []
        self.feed(source)
        assert self._open == [], "elements that do not end"

    def handle_starttag(self, tag, attrs):
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        else:
            self.words.append(data)


def drawing(source):
    """The first drawing of a page, parsed as a file of its own would be."""
    return ET.fromstring(source[source.index("<svg") : source.index("</svg>") + 6])
