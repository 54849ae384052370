"""Names of the metrics `compile` takes. The loss step counts right answers, so accuracy costs no pass of its own."""

from __future__ import annotations

from collections.abc import Iterable

_ACCURACY = ("accuracy", "acc")


def check_metrics(metrics: str | Iterable[str] | None) -> list[str]:
    """The metrics to report, under the names they were asked for.

    Raises:
        ValueError: listing the known names.
    """
    names = [] if metrics is None else [metrics] if isinstance(metrics, str) else list(metrics)
    for name in names:
        if name not in _ACCURACY:
            raise ValueError(f"metrics: expected names out of {sorted(_ACCURACY)}. Received: {name!r}")
    return names
