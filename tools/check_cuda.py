"""Compiles every CUDA kernel for every architecture of csrc/cuda.cmake and checks what the compiler made of it.

python tools/check_cuda.py

It needs nvcc, and cuobjdump: of CUDA, or of `pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm`.

A kernel must
- have no local memory: no stack frame, no spilled registers;
- state `__launch_bounds__(threads, blocks)`, the blocks that a multiprocessor must have registers for: the compiler
  holds that or spills. With `__launch_bounds__(threads)` it has to do with 64 registers, so that 1024 threads fit;
- have tensor-core instructions if it multiplies matrices: HMMA on TF32, or on bfloat16 where activations are so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
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


def parse(report: str, code: str) -> list[Kernel]:
    """The kernels in what `nvcc -Xptxas -v` (report) and `cuobjdump -ptx -sass` (code) print, by mangled names."""
    bounds = dict(re.findall(r"\.entry (\w+)\(([^{]*)", code))  # by name, in the PTX of one architecture
    sass = {}
    for section in re.split(r"^arch = ", code, flags=re.MULTILINE)[1:]:
        for function in section.split("Function : ")[1:]:
            sass[function.split()[0], section.split()[0]] = function
    kernels = []
    for entry in report.split("Compiling entry function ")[1:]:
        name, architecture = re.match(r"'(\w+)' for '(\w+)'", entry).groups()
        local = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", entry).groups()
        kernels.append(
            Kernel(
                name,
                architecture,
                local_bytes=sum(map(int, local)),
                registers=number(r"Used (\d+) registers", entry),
                threads=number(r"\.maxntid (\d+)", bounds[name]),
                blocks=number(r"\.minnctapersm (\d+)", bounds[name]),
                tensor_core_instructions=tensor_core_instructions(name, sass[name, architecture]),
            )
        )
    return kernels


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


def architectures(nvcc: str) -> list[str]:
    """Those of the build that this nvcc knows."""
    known = run(nvcc, "--list-gpu-arch")
    lists = re.findall(r"CMAKE_CUDA_ARCHITECTURES (\d[^)]*)\)", (ROOT / "csrc/cuda.cmake").read_text())
    wanted = [item.removesuffix("-real") for item in " ".join(lists).split() if not item.endswith("-virtual")]
    return [architecture for architecture in wanted if f"compute_{architecture.rstrip('a')}\n" in known + "\n"]


def compile_file(nvcc: str, dump: str, file: Path, targets: list[str], folder: Path) -> list[Kernel]:
    fatbin = str(folder / f"{file.parent.name}_{file.stem}.fatbin")
    codes = [f"-gencode=arch=compute_{target},code=sm_{target}" for target in targets]
    ptx = f"-gencode=arch=compute_{targets[-1]},code=compute_{targets[-1]}"
    options = ["-std=c++17", "-O3", "-ftz=true", "-Xptxas=-v", "-fatbin", f"-I{ROOT / 'csrc'}", "-o", fatbin]
    report = run(nvcc, *options, *codes, ptx, str(file))
    kernels = parse(report, run(dump, "-ptx", "-sass", fatbin))
    for kernel, name in zip(kernels, run("c++filt", *[k.name for k in kernels]).splitlines(), strict=True):
        kernel.name = f"{file.parent.name}: {short(name)}"
    return kernels


def main() -> int:
    nvcc, dump = shutil.which("nvcc"), cuobjdump()
    if not nvcc or not dump:
        raise SystemExit(f"check_cuda: expected nvcc and cuobjdump. Received: {nvcc}, {dump}")
    targets = architectures(nvcc)
    files = [file for file in sorted(ROOT.glob("csrc/*/*.cu")) if "__global__" in file.read_text()]
    files = [file for file in files if file.parent.name != "emulator"]  # selftest.cu is for the host
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda file: compile_file(nvcc, dump, file, targets, Path(folder)), files)
        kernels = [kernel for of_file in found for kernel in of_file]
    print_table(kernels, targets)
    failures = [f"{k.name} on {k.architecture}: {problem}" for k in kernels for problem in k.problems()]
    print(*failures, f"{len(kernels)} kernels, {len(failures)} problems", sep="\n")
    return int(bool(failures) or not kernels)


def print_table(kernels: list[Kernel], targets: list[str]) -> None:
    """A row for each kernel: its registers on each architecture, its cap of them, its tensor-core instructions."""
    rows = {}
    for kernel in kernels:
        rows.setdefault(kernel.name, {})[kernel.architecture] = kernel
    print(f"{'registers on':<48}", *[f"{'sm_' + target:>7}" for target in targets], f"{'cap':>5} {'HMMA':>5}")
    for name, row in rows.items():
        registers = [f"{row[f'sm_{target}'].registers:>7}" for target in targets]
        least = min(kernel.tensor_core_instructions for kernel in row.values())
        print(f"{name:<48}", *registers, f"{row[f'sm_{targets[0]}'].cap:>5} {least:>5}")


if __name__ == "__main__":
    sys.exit(main())
