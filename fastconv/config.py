"""What the package runs on: instruction set, threads, versions."""

from __future__ import annotations

from typing import Any

from fastconv import _core


def set_num_threads(threads: int) -> None:
    """Sets how many threads the kernels use; 0 returns to the default.

    The default is OMP_NUM_THREADS, else the cores this process may use (affinity and container quota).

    Results have the same bits for any number.

    Args:
        threads: 0 to 1024.

    Raises:
        ValueError: if it is out of range.
    """
    if isinstance(threads, bool) or not isinstance(threads, int):
        raise ValueError(f"set_num_threads: expected an integer from 0 to 1024. Received: {threads!r}")
    _core.set_num_threads(threads)


def get_num_threads() -> int:
    """How many threads the kernels use."""
    return _core.num_threads()


def isa() -> str:
    """The instruction set of the CPU kernels: "scalar", "avx2", "avx512" or "neon"; FASTCONV_ISA forces one."""
    return _core.isa()


_CONV_ALGORITHMS = ("auto", "direct")


def set_conv_algorithm(name: str) -> None:
    """Sets how convolutions are computed.

    Args:
        name: "auto" (the default) computes 3x3 convolutions of stride 1 through Winograd's F(4x4, 3x3) where that is
            faster; "direct" always sums the products themselves.

    Winograd's sums have about twice the rounding error of direct ones, those of the filters' gradients up to four times
    (docs/kernels.md has the bounds), and one NaN or infinity of the input may reach the whole 4x4 tiles of outputs that
    it meets, not only the 3x3 pixels around it.

    Raises:
        ValueError: on another name.

    Source: Lavin and Gray 2015, "Fast algorithms for convolutional neural networks", arXiv:1509.09308.

    >>> set_conv_algorithm("direct")
    >>> set_conv_algorithm("auto")
    """
    if name not in _CONV_ALGORITHMS:
        raise ValueError(f'set_conv_algorithm: expected "auto" or "direct". Received: {name!r}')
    _core.conv2d_allow_winograd(name == "auto")


def conv_algorithm() -> str:
    """How convolutions are computed: "auto" or "direct", see `set_conv_algorithm`."""
    return "auto" if _core.conv2d_allows_winograd() else "direct"


_FLOAT32_MATMUL_PRECISIONS = ("highest", "high")
_float32_matmul_precision = "highest"


def set_float32_matmul_precision(name: str) -> None:
    """Sets how a GPU's tensor cores multiply float32 numbers, in convolutions and dense layers. The CPU has no choice.

    Args:
        name: "highest" (the default) makes three products of TF32 numbers, of 11 significant bits, for one of float32,
            as good as float32 arithmetic. "high" makes one, whose relative error is up to 2**-10.

    The names are those of `torch.set_float32_matmul_precision`.

    Raises:
        ValueError: on another name.

    >>> set_float32_matmul_precision("high")
    >>> set_float32_matmul_precision("highest")
    """
    global _float32_matmul_precision
    if name not in _FLOAT32_MATMUL_PRECISIONS:
        raise ValueError(f'set_float32_matmul_precision: expected "highest" or "high". Received: {name!r}')
    _float32_matmul_precision = name


def float32_matmul_precision() -> str:
    """How a GPU multiplies float32 numbers: "highest" or "high", see `set_float32_matmul_precision`."""
    return _float32_matmul_precision


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Prints version, instruction set, threads and the state of CUDA.

    Args:
        mode: "stdout", or "dicts" to return the same as a dict instead, as of `numpy.show_config`.

    Raises:
        ValueError: on another mode.

    >>> fastconv.config.show_config(mode="dicts")["isa"]
    'avx512'
    """
    import platform

    import numpy

    from fastconv import device

    if mode not in ("stdout", "dicts"):
        raise ValueError(f'mode: expected "stdout" or "dicts". Received: mode={mode!r}')
    found = {
        "fastconv": _core.__version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "isa": _core.isa(),
        "supported_isas": list(_core.supported_isas()),
        "threads": _core.num_threads(),
        "conv_algorithm": conv_algorithm(),
        "cuda": [finding.found for finding in device.cuda_findings()],
    }
    if mode == "dicts":
        return found
    print(f"fastconv  {found['fastconv']}")
    print(f"python    {found['python']}, numpy {found['numpy']}")
    print(f"cpu       {found['isa']} (this processor: {', '.join(found['supported_isas'])})")
    print(f"threads   {found['threads']}")
    print(f"conv      {found['conv_algorithm']}")
    print(f"cuda      {'; '.join(found['cuda'])}")
    return None
