"""When a callback saves."""

from __future__ import annotations


class SaveSchedule:
    """At the end of each epoch, or after every so many batches, counted on from epoch to epoch.

    Args:
        save_freq: "epoch", or a number of batches.

    Raises:
        ValueError: on something else.
    """

    def __init__(self, save_freq: str | int):
        number = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if not number and not (isinstance(save_freq, str) and save_freq == "epoch"):
            raise ValueError(f'save_freq: expected "epoch" or a number of batches. Received: save_freq={save_freq!r}')
        self.by_epoch = save_freq == "epoch"
        self._period = save_freq if number else 0
        self.batches = 0  # since the last save

    @property
    def next_batch_saves(self) -> bool:
        return not self.by_epoch and self.batches + 1 >= self._period

    def after_batch(self) -> bool:
        """Counts a batch; whether to save now."""
        saves = self.next_batch_saves
        self.batches = 0 if saves else self.batches + 1
        return saves
