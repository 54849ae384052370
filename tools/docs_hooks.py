"""What the site (mkdocs.yml) does about links from docs/ to files beside it: an mkdocs hook.

Markdown pages and pictures that a page of docs/ leads to become part of the site; what is no page (sources, folders) is
named instead of linked. The links stay as they are in the repository, where they work as well.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

_log = logging.getLogger("mkdocs.hooks.docs")
_INLINE = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_REFERENCE = re.compile(r"^\[(?P<text>[^\]]+)\]: (?P<target>[^#\s]+)(?P<anchor>#\S*)?$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_SHOWN = (".md", ".png")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages and pictures outside docs/ that pages lead to, and those that these lead to."""
    root, docs = _places(config)
    pages = [file for file in files if file.src_uri.endswith(".md")]
    while pages:
        page = pages.pop()
        for target in _targets(page.content_string):
            path = _path(page, target, root, docs)
            uri = _uri(path, docs)
            if files.get_file_from_path(uri) or not path.endswith(_SHOWN) or not (root / path).is_file():
                continue
            file = File(uri, str(root), config.site_dir, config.use_directory_urls)
            file.inclusion = InclusionLevel.NOT_IN_NAV
            files.append(file)
            pages += [file] if uri.endswith(".md") else []
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turns links to files outside docs/ into links within the site, or into the names of the files."""
    root, docs = _places(config)

    def moved(match: re.Match) -> str:
        target = match["target"]
        if _is_address(target):
            return match[0]
        path = _path(page.file, target, root, docs)
        uri = _uri(path, docs)
        if files.get_file_from_path(uri):
            relative = posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or ".")
            before, after = match.start("target") - match.start(), match.end("target") - match.start()
            return match[0][:before] + relative + match[0][after:]
        if uri.startswith(docs + "/") or not (root / path).exists():
            _log.warning("%s: a link to %s, which is not there", page.file.src_uri, target)
        name, text = f"`{path}`", match["text"].strip("`")
        return name if path.endswith(text) else f"{match['text']} ({name})"

    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_sub(moved, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _sub(moved, markdown[end:])])


def _sub(moved: Any, text: str) -> str:
    return _REFERENCE.sub(moved, _INLINE.sub(moved, text))


def _targets(markdown: str) -> list[str]:
    text = _FENCE.sub("", markdown)
    found = [match["target"] for pattern in (_INLINE, _REFERENCE) for match in pattern.finditer(text)]
    return [target for target in found if not _is_address(target)]


def _is_address(target: str) -> bool:
    return bool(re.match(r"[a-z]+:", target))


def _places(config: Any) -> tuple[Path, str]:
    """The repository's root, and docs/ from there."""
    root = Path(config.config_file_path).resolve().parent
    return root, Path(config.docs_dir).resolve().relative_to(root).as_posix()


def _path(page: File, target: str, root: Path, docs: str) -> str:
    """A link's target from the repository's root."""
    added = Path(page.src_dir).resolve() == root
    return posixpath.normpath(posixpath.join("" if added else docs, posixpath.dirname(page.src_uri), target))


def _uri(path: str, docs: str) -> str:
    """Where the site has a file of the repository: those of docs/ at its root."""
    return path[len(docs) + 1 :] if path.startswith(docs + "/") else path
