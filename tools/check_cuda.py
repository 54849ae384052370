"""Checks what the compiler made of every CUDA kernel, for every architecture of csrc/cuda.cmake.

python tools/check_cuda.py [WHEEL or LIBRARY]

Without an argument it takes the `fastconv._cuda` that is installed. It needs cuobjdump: of CUDA, or of
`pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm`; with nvcc on the PATH it misses architectures, too.

A kernel must
- have no local memory: no stack frame, and so no spilled registers;
- state `__launch_bounds__(threads, blocks)`, the blocks that a multiprocessor must have registers for: the compiler
  holds that or spills. With `__launch_bounds__(threads)` it has to do with 64 registers, so that 1024 threads fit;
- have tensor-core instructions if it multiplies matrices: HMMA on TF32, or on bfloat16 where activations are so.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
REGISTERS = 65536  # of a multiprocessor
REGISTERS_UNASKED = 64  # of a thread
MULTIPLIES = re.compile(r"\b(fprop|dgrad|wgrad|joint)_kernel\b")


@dataclass
class Kernel:
    name: str
    architecture: str
    local_bytes: int  # stack frame and spills
    registers: int
    threads: int | None  # of its launch bounds
    blocks: int | None
    tensor_core_instructions: int

    @property
    def cap(self) -> int:
        if not self.threads or not self.blocks:
            return REGISTERS_UNASKED
        return min(REGISTERS // (self.threads * self.blocks) // 8 * 8, 255)

    def problems(self) -> list[str]:
        found = []
        if self.local_bytes:
            found.append(f"{self.local_bytes} bytes of local memory")
        if self.threads is None:
            found.append("no __launch_bounds__")
        if self.registers > self.cap:
            found.append(f"more than {self.cap} registers")
        if MULTIPLIES.search(self.name) and not self.tensor_core_instructions:
            found.append("no tensor-core instructions of its type")
        return found


def parse(usage: str, ptx: str, sass: str) -> list[Kernel]:
    """The kernels in what `cuobjdump` prints with -res-usage, -ptx and -sass, by mangled names."""
    bounds = dict(re.findall(r"\.entry (\w+)\(([^{]*)", ptx))
    code = dict(by_architecture(sass, "Function : "))
    return [
        Kernel(
            name,
            architecture,
            local_bytes=number(r"STACK:(\d+)", text) + number(r"LOCAL:(\d+)", text),
            registers=number(r"REG:(\d+)", text),
            threads=number(r"\.maxntid (\d+)", bounds[name]),
            blocks=number(r"\.minnctapersm (\d+)", bounds[name]),
            tensor_core_instructions=tensor_core_instructions(name, code[name, architecture]),
        )
        for (name, architecture), text in by_architecture(usage, " Function ")
        if name in bounds
    ]


def by_architecture(text: str, mark: str) -> Iterator[tuple[tuple[str, str], str]]:
    """((kernel, architecture), text) of the parts of a listing."""
    for section in re.split(r"^arch = ", text, flags=re.MULTILINE)[1:]:
        for part in section.split(mark)[1:]:
            yield (re.match(r"\w+", part).group(), section.split()[0]), part


def tensor_core_instructions(name: str, code: str) -> int:
    """How many there are of the type that a kernel multiplies; 0 if there are others, too."""
    types = re.findall(r"\bHMMA\.\w+\.F32\.(TF32|BF16)\b", code)
    wanted = "BF16" if "BFloat16" in name else "TF32"
    return len(types) if set(types) == {wanted} else 0


def number(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text)
    return int(found.group(1)) if found else None


def short(name: str) -> str:
    """A demangled name without its arguments and namespaces."""
    name = name.replace("(anonymous namespace)::", "").removeprefix("void ")
    return re.sub(r"\w+::", "", re.sub(r"\([^()]*\)$", "", name))


def cuobjdump() -> str | None:
    installed = sorted(Path(sysconfig.get_path("purelib")).glob("nvidia/*/bin/cuobjdump"))
    return shutil.which("cuobjdump") or (str(installed[-1]) if installed else None)


def run(*command: str) -> str:
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ["PATH"]])  # cuobjdump finds nvdisasm beside it
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PATH": path})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def missing(kernels: list[Kernel]) -> list[str]:
    """Architectures of csrc/cuda.cmake that the nvcc on the PATH knows and no kernel was compiled for."""
    nvcc = shutil.which("nvcc")
    known = run(nvcc, "--list-gpu-arch") + "\n" if nvcc else ""
    lists = re.findall(r"CMAKE_CUDA_ARCHITECTURES (\d[^)]*)\)", (ROOT / "csrc/cuda.cmake").read_text())
    wanted = {item.removesuffix("-real") for item in " ".join(lists).split() if not item.endswith("-virtual")}
    found = {kernel.architecture for kernel in kernels}
    return sorted(a for a in wanted if f"compute_{a.rstrip('a')}\n" in known and f"sm_{a}" not in found)


def library(given: list[str], folder: Path) -> Path:
    """The extension module: what is given, in the wheel that is given, or what is installed."""
    if not given:
        spec = importlib.util.find_spec("fastconv._cuda")
        if spec is None:
            raise SystemExit("check_cuda: expected a wheel, or fastconv installed with CUDA. Received: neither")
        return Path(spec.origin)
    if not given[0].endswith(".whl"):
        return Path(given[0])
    with zipfile.ZipFile(given[0]) as wheel:
        names = [name for name in wheel.namelist() if re.match(r"fastconv/_cuda\.", name)]
        if not names:
            raise SystemExit(f"check_cuda: expected a wheel with CUDA kernels. Received: {given[0]}")
        return Path(wheel.extract(names[0], folder))


def main() -> int:
    dump = cuobjdump()
    if not dump:
        raise SystemExit("check_cuda: expected cuobjdump. Received: none")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        file = str(library(sys.argv[1:], Path(folder)))
        usage, ptx = run(dump, "-res-usage", file), run(dump, "-ptx", file)
        found = {architecture for (_, architecture), _ in by_architecture(usage, " Function ")}
        targets = sorted(found, key=lambda target: number(r"(\d+)", target))
        sass = pool.map(lambda target: run(dump, "-arch", target, "-sass", file), targets)
        kernels = parse(usage, ptx, "".join(sass))
    for kernel, name in zip(kernels, run("c++filt", *[k.name for k in kernels]).splitlines(), strict=True):
        source = re.search(r"_GLOBAL__N__\w+?_\d+_(\w+?)_cu_", kernel.name)
        kernel.name = f"{source.group(1) if source else '?'}: {short(name)}"
    print_table(kernels, targets)
    failures = [f"{k.name} on {k.architecture}: {problem}" for k in kernels for problem in k.problems()]
    failures += [f"no kernels for sm_{architecture}" for architecture in missing(kernels)]
    print(*failures, f"{len(kernels)} kernels, {len(failures)} problems", sep="\n")
    return int(bool(failures) or not kernels)


def print_table(kernels: list[Kernel], targets: list[str]) -> None:
    """A row for each kernel: its registers on each architecture, its cap of them, its tensor-core instructions."""
    rows = {}
    for kernel in kernels:
        rows.setdefault(kernel.name, {})[kernel.architecture] = kernel
    print(f"{'registers on':<48}", *[f"{target:>7}" for target in targets], f"{'cap':>5} {'HMMA':>5}")
    for name, row in rows.items():
        registers = [f"{row[target].registers:>7}" for target in targets]
        least = min(kernel.tensor_core_instructions for kernel in row.values())
        print(f"{name:<48}", *registers, f"{row[targets[0]].cap:>5} {least:>5}")


if __name__ == "__main__":
    sys.exit(main())
