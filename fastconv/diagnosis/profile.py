"""`model.profile`: how long each step of the fused plan takes, and how much of the machine it uses."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from fastconv import _core, config
from fastconv.checks import positive
from fastconv.diagnosis import steps
from fastconv.diagnosis.tables import Table, render
from fastconv.models import data
from fastconv.models.sources import gives_batches
from fastconv.plan.traffic import step_bytes

_LEAST_ROUNDS = 3
_PEAK_SHARE, _PEAK_MOST_S = 0.1, 0.1  # of the time to measure in, for the peak


@dataclass(frozen=True)
class Row:
    """A step, or all steps of a layer.

    Attributes:
        step: its number in the plan; None of a layer.
        layer: the name of the layer; "(loss, metrics)" or "(optimizer)" where there is none.
        phase: "forward", "backward" or "update"; empty for all of a layer.
        op: as kernels call it; of a layer the number of its steps.
        seconds: median.
        flop: twice the products of convolutions and dense layers, as the direct algorithm makes them; 0 of other steps.
        bytes: read and written, each array of the step once (`fastconv.plan.traffic.step_bytes`).
        algorithm: "direct" or "winograd" of convolutions.
        kernel: the instruction set, "cuda", or "python" of a layer of the user's own.
        peak_gflop_per_s: of the machine (`Profile.peak_gflop_per_s`).
    """

    step: int | None
    layer: str
    phase: str
    op: str
    seconds: float
    flop: int
    bytes: int
    algorithm: str
    kernel: str
    peak_gflop_per_s: float | None

    @property
    def gflop_per_s(self) -> float | None:
        """None without products. Winograd's convolutions make fewer than they are credited with here."""
        return 1e-9 * self.flop / self._seconds if self.flop else None

    @property
    def share_of_peak(self) -> float | None:
        """Of the multiply-adds that all threads make at most; None where the peak was not measured."""
        return self.gflop_per_s / self.peak_gflop_per_s if self.flop and self.peak_gflop_per_s else None

    @property
    def gb_per_s(self) -> float:
        """Above the bandwidth of the memory where data are in cache."""
        return 1e-9 * self.bytes / self._seconds

    @property
    def _seconds(self) -> float:
        return max(self.seconds, 1e-9)  # a clock may stand still

    def to_dict(self) -> dict[str, Any]:
        rates = {name: getattr(self, name) for name in ("gflop_per_s", "share_of_peak", "gb_per_s")}
        return {**asdict(self), **rates}


@dataclass(frozen=True, repr=False)
class Profile:
    """What `model.profile` returns: printed it is a table, in a notebook one of HTML.

    Attributes:
        mode: "train" or "predict".
        batch_size: samples of a step.
        device: "cpu" or "cuda".
        kernel: the instruction set, or "cuda".
        threads: of the CPU's kernels.
        peak_gflop_per_s: of multiply-adds, measured with these threads; None on a GPU.
        step_seconds: median of a whole step, which runs without a clock between its calls.
        rounds: how often everything was measured.
        rows: the calls of a step in their order.
        fused_layers: names of the layers that have no row, as those of others do their work (`model.explain_plan`).
    """

    mode: str
    batch_size: int
    device: str
    kernel: str
    threads: int
    peak_gflop_per_s: float | None
    step_seconds: float
    rounds: int
    rows: list[Row]
    fused_layers: list[str]

    @property
    def layers(self) -> list[Row]:
        """The sums over the steps of each layer, in the order of their first steps."""
        by_layer: dict[str, list[Row]] = {}
        for row in self.rows:
            by_layer.setdefault(row.layer, []).append(row)
        return [self._sum(layer, rows) for layer, rows in by_layer.items()]

    def seconds_of(self, phase: str, layer: str | None = None) -> float:
        """The time of a phase, of all layers or of one."""
        return sum(row.seconds for row in self.rows if row.phase == phase and layer in (None, row.layer))

    def _sum(self, layer: str, rows: list[Row]) -> Row:
        return Row(
            step=None,
            layer=layer,
            phase="",
            op=f"{len(rows)} step{'' if len(rows) == 1 else 's'}",
            seconds=sum(row.seconds for row in rows),
            flop=sum(row.flop for row in rows),
            bytes=sum(row.bytes for row in rows),
            algorithm=", ".join(dict.fromkeys(row.algorithm for row in rows if row.algorithm)),
            kernel=", ".join(dict.fromkeys(row.kernel for row in rows)),
            peak_gflop_per_s=self.peak_gflop_per_s,
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as numbers and words that JSON can hold."""
        rows = {name: [row.to_dict() for row in getattr(self, name)] for name in ("rows", "layers")}
        return {**asdict(self), **rows}

    # ---- for people
    def table(self, width: int | None = None) -> str:
        """Both tables as text of so many columns; None: as many as the terminal has, or 120 where there is none."""
        return render(self._about(), self._tables(), width)

    def __repr__(self) -> str:
        whole = _ms(self.step_seconds)
        return f"<Profile: {self.mode}, batch {self.batch_size}, {len(self.rows)} steps, {whole} ms>"

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        from fastconv import html

        tables = (html.table(head, rows, title, words) for title, head, rows, words in self._tables())
        return html.paragraphs(self._about()) + "".join(tables)

    def _about(self) -> list[str]:
        threads = f", {self.threads} thread{'' if self.threads == 1 else 's'}" if self.device == "cpu" else ""
        peak = f", FMA peak {self.peak_gflop_per_s:.0f} GFLOP/s" if self.peak_gflop_per_s else ""
        measured = sum(row.seconds for row in self.rows)
        lines = [
            f"{self.mode}, batch {self.batch_size}; {self.kernel}{threads}{peak}; medians of {self.rounds} rounds",
            f"a whole step {1e3 * self.step_seconds:.3f} ms; its calls one by one {1e3 * measured:.3f} ms",
        ]
        if self.fused_layers:
            lines.append(f"fused into the steps of other layers: {', '.join(self.fused_layers)}")
        return lines

    def _tables(self) -> Iterable[Table]:
        total = sum(row.seconds for row in self.rows)
        phases = list(dict.fromkeys(row.phase for row in self.rows))
        rates = ["ms", "share", "GFLOP/s", "of peak", "MB", "GB/s", "algorithm"]

        def rates_of(row: Row) -> list[str]:
            flop = "" if row.gflop_per_s is None else f"{row.gflop_per_s:.0f}"
            peak = "" if row.share_of_peak is None else f"{row.share_of_peak:.0%}"
            share = f"{row.seconds / total:.1%}" if total else ""
            return [_ms(row.seconds), share, flop, peak, f"{row.bytes / 1e6:.2f}", f"{row.gb_per_s:.1f}", row.algorithm]

        rows = [
            [row.layer, *(_ms(self.seconds_of(phase, row.layer)) for phase in phases), *rates_of(row)]
            for row in self.layers
        ]
        rows.append(["total", *(_ms(self.seconds_of(phase)) for phase in phases), _ms(total), *[""] * (len(rates) - 1)])
        head = ["layer", *phases, *rates]
        yield "Layers, milliseconds", head, rows, (0, len(head) - 1)
        head = ["step", "layer", "pass", "op", *rates]
        rows = [[str(row.step), row.layer, row.phase, row.op, *rates_of(row)] for row in self.rows]
        yield "Steps", head, rows, (1, 2, 3, len(head) - 1)


def profile(
    model: Any, x: Any, y: Any = None, batch_size: int | None = None, sample_weight: Any = None, seconds: float = 1.0
) -> Profile:
    """See `fastconv.Model.profile`."""
    positive(seconds, "seconds")
    if gives_batches(x):
        raise ValueError(f"profile: expected arrays, of which one batch is taken. Received: {type(x).__name__}")
    batch_size = data.check_batch_size(batch_size)
    if y is not None:
        model._require_compiled("profile")
    model._ensure_built(x)
    twin, executor = steps.executor_of_copy(model)
    samples = twin._checked_inputs(x) if y is None else twin._checked(x, y, sample_weight)
    samples = samples.part(slice(batch_size))
    mode = "predict" if y is None else "train"
    plan = executor.plan(mode, len(samples), samples.weighted)
    if executor.memory.on_host:
        executor.step += 1  # Adam's first; the learning rate stays 0, so that each round has the same weights
    peaks = [_peak(executor.ops, seconds)]
    whole, calls = _measure(executor.memory, plan, samples, seconds)
    peaks.append(_peak(executor.ops, seconds))  # the better of two, as other programs may disturb one
    peak = max(filter(None, peaks), default=None)
    rows = []
    for i, (step, phase) in enumerate(zip(plan.steps, steps.phases(plan), strict=True)):
        rows.append(
            Row(
                step=i,
                layer=steps.layer_of(step, phase),
                phase=phase,
                op=step.op,
                seconds=statistics.median(times[i] for times in calls),
                flop=2 * steps.multiplications(step),
                bytes=sum(step_bytes(plan, step)),
                algorithm=steps.algorithm(step, executor.ops),
                kernel=steps.kernel(executor.ops, step),
                peak_gflop_per_s=peak,
            )
        )
    return Profile(
        mode=mode,
        batch_size=len(samples),
        device=executor.ops.name,
        kernel=steps.kernel(executor.ops),
        threads=config.get_num_threads(),
        peak_gflop_per_s=peak,
        step_seconds=statistics.median(whole),
        rounds=len(whole),
        rows=rows,
        fused_layers=steps.fused_layers(plan),
    )


def _peak(ops: Any, seconds: float) -> float | None:
    """GFLOP/s of multiply-adds; None where there is no measure of it."""
    return _core.measure_fma_peak(min(_PEAK_SHARE * seconds, _PEAK_MOST_S)) if ops.name == "cpu" else None


def _measure(memory: Any, plan: Any, samples: Any, seconds: float) -> tuple[list[float], list[list[float]]]:
    """The seconds of a whole step, and of each of its calls, in each of as many rounds as `seconds` hold."""

    def fill() -> None:  # before every step: the one before may have written over its batch
        for slot, array in zip(plan.host_slots, samples.arrays, strict=True):
            data.fill(slot, array, slice(None))
        plan.send()

    fill()
    plan.run()  # does not count
    memory.synchronize()
    whole: list[float] = []
    calls: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(whole) < _LEAST_ROUNDS or time.perf_counter() < end:
        fill()
        start = time.perf_counter()
        plan.run()
        memory.synchronize()
        whole.append(time.perf_counter() - start)
        fill()
        calls.append(memory.seconds_of(plan.calls, plan.run))
    return whole, calls


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3f}" if seconds else ""
