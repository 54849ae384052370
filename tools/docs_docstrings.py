"""What makes the docstrings of fastconv markdown for the site (mkdocs.yml): an extension of griffe.

Lines such as "Output shape: ..." and "Source: ..." get a paragraph each, and examples become blocks of code.
"""

import re
from typing import Any

import griffe

_LABELS = re.compile(r"^((?:Input|Output|Shape|Weights|Raises|Source)\b[^:\n`]*): (?=\S)", re.MULTILINE)
_EXAMPLES = re.compile(r"^>>> .+(?:\n.+)*", re.MULTILINE)
_HEADING = re.compile(r"^Examples?:\n+(?=>>> )", re.MULTILINE)


class Docstrings(griffe.Extension):
    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(docstring: str) -> str:
    """The docstring with paragraphs and fences.

    >>> as_markdown("Text.\\nSource: a paper.\\n\\n>>> 1 + 1\\n2")
    'Text.\\n\\n**Source**: a paper.\\n\\n```pycon\\n>>> 1 + 1\\n2\\n```'
    """
    docstring = _LABELS.sub(r"\n**\1**: ", _HEADING.sub("", docstring))
    return _EXAMPLES.sub(lambda match: f"```pycon\n{_without_directives(match[0])}\n```", docstring)


def _without_directives(example: str) -> str:
    return re.sub(r" *# doctest: .*", "", example)
