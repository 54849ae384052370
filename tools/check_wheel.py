"""Checks a built wheel: under 15 MB, with the extension module and the bundled sample, without leftovers.

python tools/check_wheel.py dist/fastconv-*.whl
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

MAX_BYTES = 15_000_000
NEEDED = ("fastconv/_core", "fastconv/py.typed", "fastconv/datasets/cifar10_sample")


def problems(wheel: Path) -> list[str]:
    names = zipfile.ZipFile(wheel).namelist()
    found = [f"expected a file {prefix}*" for prefix in NEEDED if not any(n.startswith(prefix) for n in names)]
    found += [f"unexpected file {n}" for n in names if not n.startswith(("fastconv/", "fastconv-"))]
    if wheel.stat().st_size > MAX_BYTES:
        found.append(f"expected at most {MAX_BYTES} bytes. Received: {wheel.stat().st_size}")
    return found


if __name__ == "__main__":
    path = Path(sys.argv[1])
    found = problems(path)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB", *found, sep="\n")
    sys.exit(bool(found))
