"""What the package runs on: instruction set, threads, versions."""

from __future__ import annotations

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


def show_config() -> None:
    """Prints version, instruction set, threads and the state of CUDA."""
    import platform

    import numpy

    print(f"fastconv  {_core.__version__}")
    print(f"python    {platform.python_version()}, numpy {numpy.__version__}")
    print(f"cpu       {_core.isa()} (this processor: {', '.join(_core.supported_isas())})")
    print(f"threads   {_core.num_threads()}")
    print("cuda      not built")
