"""Names beside the dots of a scatter plot."""

from __future__ import annotations

import itertools

from matplotlib.figure import Figure

from tomolith.report.dot_names import Dot, name_dots


def named(dots):
    figure = Figure(figsize=(6.8, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(1, 100), ylim=(0, 1), xscale="log")
    return axes, name_dots(figure, axes, dots)


def test_names_of_dots_that_lie_together_do_not_overlap():
    axes, texts = named([Dot(f"network_{i}", 10.0, 0.7 - 0.005 * i, 120.0) for i in range(8)])
    boxes = [text.get_window_extent() for text in texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(axes.bbox.contains(*box.min) and axes.bbox.contains(*box.max) for box in boxes)
    joined = [text for text in axes.texts if text.get_text() == ""]
    assert joined  # those farther away have a line


def test_a_name_hides_no_other_dot():
    axes, texts = named([Dot("low", 10.0, 0.5, 100.0), Dot("high", 10.0, 0.54, 100.0)])
    for text, dot in itertools.product(texts, [(10.0, 0.5), (10.0, 0.54)]):
        assert not text.get_window_extent().contains(*axes.transData.transform(dot))


def test_a_dot_without_room_keeps_its_name_above():
    axes, texts = named([Dot("a name far wider than the whole figure " * 4, 10.0, 0.5, 30.0)])
    assert [text.get_text() for text in axes.texts if text.get_text()] == [texts[0].get_text()]
