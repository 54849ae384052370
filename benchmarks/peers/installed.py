"""Prints what a package takes on disk, and everything it needs but NumPy: JSON {distribution: bytes}.

python benchmarks/peers/installed.py tensorflow-cpu
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import sys
from pathlib import Path


def needed(name: str) -> dict[str, importlib.metadata.Distribution]:
    """The distribution and, level by level, those it requires; without extras, and without NumPy."""
    found, waiting = {}, [name]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found or name == "numpy":
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # required on other systems or Pythons only
        for requirement in found[name].requires or ():
            if "extra ==" not in requirement:
                waiting.append(re.match(r"[\w.-]+", requirement)[0])
    return found


def size(name: str, distribution: importlib.metadata.Distribution) -> int:
    """Bytes of its files, without what Python compiles from them."""
    paths = {Path(distribution.locate_file(file)).resolve() for file in distribution.files or ()}
    editable = json.loads(distribution.read_text("direct_url.json") or "{}").get("dir_info", {}).get("editable")
    folders = importlib.util.find_spec(name).submodule_search_locations if editable else ()  # not among its files
    paths |= {path.resolve() for folder in folders for path in Path(folder).rglob("*")}
    return sum(path.stat().st_size for path in paths if path.is_file() and path.suffix != ".pyc")


if __name__ == "__main__":
    if not (distributions := needed(sys.argv[1])):
        raise SystemExit(f"not installed: {sys.argv[1]}")
    print(json.dumps({name: size(name, found) for name, found in distributions.items()}))
