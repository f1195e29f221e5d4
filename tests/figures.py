"""What Prometheus would be told of a process, and by how much that has grown."""

from __future__ import annotations

from prometheus_client import REGISTRY

from nebuloviz.observability import show_detection


class Growth:
    """Since it was made, of this process's own figures."""

    def __init__(self) -> None:
        show_detection(None)
        self._before = _samples()

    def of(self, name: str) -> dict[tuple[str, ...], float]:
        """By the values of its labels, as declared, where there was any."""
        of = f"nebuloviz_{name}"
        grown = {at[1:]: value - self._before.get(at, 0.0) for at, value in _samples().items() if at[0] == of}
        return {labels: by for labels, by in grown.items() if by}


def _samples() -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
    }
