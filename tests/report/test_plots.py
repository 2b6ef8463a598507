import re
from itertools import pairwise
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from reseen.data.coding import unpack_pictures
from reseen.evaluation.intervals import t_interval
from reseen.evaluation.report import FEATURES, FeatureScores, Report, Trial
from reseen.report.pictures import enlarged, middle_pictures
from reseen.report.plots import (
    INK,
    LAST_RANK,
    STROKES,
    cmc_figure,
    ladder_figure,
    learning_figure,
    png,
    save,
    spread_out,
    svg,
)

REPORT = Report(
    "noise",
    "cross-camera",
    tuple(
        Trial(
            trial,
            {
                kind: FeatureScores(
                    tuple(np.minimum(1, 0.3 + 0.1 * trial + 0.01 * place + 0.02 * np.arange(50))),
                    0.5,
                    0.4,
                    20,
                    0,
                    20.0,
                    (0.05,) * 50,
                )
                for place, kind in enumerate(FEATURES, start=-3)  # spatial at 0
            },
        )
        for trial in range(3)
    ),
)


def one_trial(*kinds):
    features = REPORT.trials[1].features
    return Report("noise", "cross-camera", (Trial(0, {kind: features[kind] for kind in kinds}),))


def curve_of(axes, kind):
    (line,) = [line for line in axes.lines if to_hex(line.get_color()) == STROKES[kind].colour]
    return line


def test_each_feature_kind_has_one_curve_the_mean_over_trials():
    (axes,) = cmc_figure(REPORT).axes
    assert len(axes.lines) == len(FEATURES)
    for kind in FEATURES:
        line = curve_of(axes, kind)
        mean = np.mean([scores.curve[:LAST_RANK] for scores in REPORT.scores(kind)], axis=0)
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, LAST_RANK + 1))
        np.testing.assert_allclose(line.get_ydata(), mean)


def test_the_band_is_the_interval_of_the_mean_and_needs_several_trials():
    (axes,) = cmc_figure(REPORT).axes
    band = axes.collections[list(FEATURES).index("spatial")].get_paths()[0].vertices
    low, high = t_interval(np.array([scores.curve[0] for scores in REPORT.scores("spatial")]))
    at_rank_1 = band[band[:, 0] == 1][:, 1]
    assert (at_rank_1.min(), at_rank_1.max()) == pytest.approx((low, high))
    assert not cmc_figure(one_trial("fused")).axes[0].collections


def test_curves_are_labelled_with_name_and_rank_1_in_their_own_colour():
    (axes,) = cmc_figure(one_trial("spatial", "fused")).axes
    labels = {text.get_text(): text.get_color() for text in axes.texts}
    assert labels == {
        "spatial  40.0 %": STROKES["spatial"].colour,
        "fused  42.0 %": STROKES["fused"].colour,
    }


def test_labels_of_close_curves_do_not_cover_each_other():
    figure = cmc_figure(REPORT)
    figure.draw_without_rendering()
    extents = [Text.get_window_extent(label) for label in figure.axes[0].texts]  # without lines
    boxes = sorted(extents, key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in pairwise(boxes))


CURVES = {
    "one": {100: (0.2, 0.1, 0.3), 200: (0.5, 0.4, 0.7)},
    "two": {100: (0.3, 0.2, 0.35), 200: (0.51, 0.45, 0.6), 400: (0.6, 0.5, 0.8)},
}


def test_each_network_has_a_curve_of_learning_with_its_band_and_name_where_it_ends():
    (axes,) = learning_figure({"title": CURVES}).axes
    for line, band, points in zip(axes.lines, axes.collections, CURVES.values(), strict=True):
        assert list(zip(*line.get_data(), strict=True)) == [
            (clips, mean) for clips, (mean, _, _) in points.items()
        ]
        corners = band.get_paths()[0].vertices
        for clips, (_, low, high) in points.items():
            ends = corners[corners[:, 0] == clips][:, 1]
            assert (ends.min(), ends.max()) == (low, high)
    assert [label.get_text() for label in axes.texts] == ["one  50.0 %", "two  60.0 %"]
    assert [label.xy for label in axes.texts] == [(200, 0.5), (400, 0.6)]
    assert axes.get_title(loc="left") == "title"


def test_a_network_looks_the_same_in_every_panel_and_unlike_any_other():
    curve = CURVES["one"]
    many = {str(number): curve for number in range(20)}
    above, below = learning_figure({"above": many, "below": {"7": curve, "3": curve}}).axes
    looks = [
        [(line.get_color(), str(line.get_linestyle()), line.get_marker()) for line in axes.lines]
        for axes in (above, below)
    ]
    assert len(set(looks[0])) == 20
    assert looks[1] == [looks[0][7], looks[0][3]]
    assert above.get_ylim() == below.get_ylim()


def test_clips_too_close_to_be_told_apart_below_the_axis_are_not_named():
    curves = {"one": {clips: (0.5, 0.4, 0.6) for clips in (100, 190, 200)}}
    (axes,) = learning_figure({"": curves}).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "190"]


def test_a_rung_shows_each_feature_with_its_interval_over_the_chance_level():
    rungs = {"clothes": REPORT, "gait": one_trial("spatial", "fused")}
    (axes,) = ladder_figure(rungs).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == list(rungs)
    for rung, report in enumerate(rungs.values()):
        lines = [line for line in axes.lines if abs(np.mean(line.get_xdata()) - rung) < 0.5]
        for kind in report.kinds:
            interval, point = (line for line in lines if line.get_color() == STROKES[kind].colour)
            assert tuple(interval.get_ydata()) == report.intervals(kind)[0]
            shares = [scores.curve[0] for scores in report.scores(kind)]
            assert point.get_ydata() == pytest.approx([np.mean(shares)])
            assert point.get_xdata()[0] == interval.get_xdata()[0]
        (chance,) = (line for line in lines if line.get_color() == INK["ink"])
        assert chance.get_ydata() == pytest.approx([0.05, 0.05])
        assert len(lines) == 1 + 2 * len(report.kinds)


def test_the_figure_is_written_as_png(tmp_path):
    save(cmc_figure(REPORT), tmp_path / "pictures" / "cmc.png")
    assert (tmp_path / "pictures" / "cmc.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_report_gives_the_same_bytes():
    assert png(cmc_figure(REPORT)) == png(cmc_figure(REPORT))
    assert svg(cmc_figure(REPORT)) == svg(cmc_figure(REPORT))


def test_drawing_leaves_matplotlib_as_it_was():
    before = dict(matplotlib.rcParams)
    svg(cmc_figure(REPORT))
    assert dict(matplotlib.rcParams) == before


def test_svg_is_well_formed_keeps_its_text_and_names_only_what_it_refers_to():
    drawing = svg(cmc_figure(REPORT))
    root = ElementTree.fromstring(drawing)
    assert "temporal  51.0 %" not in drawing
    assert any("temporal" in "".join(element.itertext()) for element in root)
    names = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(names) == len(set(names))
    assert all(f"#{name}" in drawing for name in names)


def test_svg_colours_can_be_set_by_the_page():
    drawing = svg(cmc_figure(REPORT))
    for stroke in STROKES.values():
        assert f"var(--{stroke.name}, {stroke.colour})" in drawing
    left = re.sub(r"var\(--\w+, #\w{6}\)", "", drawing)
    assert not re.search(r"(fill|stroke): #", left)


def test_text_in_svg_is_escaped():
    figure = Figure()
    figure.text(0, 0, "<script>alert(1)</script>", parse_math=False)
    assert "<script" not in svg(figure)


@pytest.mark.parametrize(
    ("values", "apart"),
    [
        ([0, 0, 0], [-1, 0, 1]),
        ([5, 0, 9], [5, 0, 9]),
        ([3, 2.5], [3.25, 2.25]),
        ([0, 0.5, 9], [-0.25, 0.75, 9]),
    ],
)
def test_values_move_apart_by_as_little_as_they_can(values, apart):
    np.testing.assert_allclose(spread_out(values, 1), apart)


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8), st.floats(0.01, 10))
def test_values_moved_apart_keep_their_order_and_the_gap(values, gap):
    apart = spread_out(values, gap)
    order = np.argsort(values, kind="stable")
    assert (np.diff(apart[order]) >= gap * (1 - 1e-6)).all()


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def deuteranope(colour):
    """What remains of a colour for deuteranopes (Viénot, Brettel and Mollon 1999)."""
    linear = np.array(to_rgb(colour)) ** 2.2
    lms = np.array(
        [[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.03, 0.1843, 1.467]]
    )
    seen = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    return np.clip(np.linalg.inv(lms) @ seen @ lms @ linear, 0, 1) ** (1 / 2.2)


def test_curves_stand_out_from_the_ground():
    for stroke in STROKES.values():
        assert contrast(stroke.colour, INK["paper"]) >= 4


def test_the_main_curves_differ_for_deuteranopes_too():
    seen = [deuteranope(STROKES[kind].colour) for kind in ("spatial", "temporal", "fused", "parts")]
    for place, one in enumerate(seen):
        for other in seen[place + 1 :]:
            assert np.abs(one - other).max() > 0.15


@pytest.mark.parametrize(
    ("length", "count", "step", "places"),
    [(9, 1, 1, [4]), (9, 3, 1, [3, 4, 5]), (9, 3, 3, [1, 4, 7]), (3, 4, 1, [2, 0, 1, 2])],
)
def test_frames_lie_around_the_middle_and_start_over(make_store, length, count, step, places):
    store = make_store([(1, 1, 4), (1, 2, length)])
    expected = unpack_pictures(store.tracklet(1)[places])
    np.testing.assert_array_equal(middle_pictures(store, 1, count, step), expected)


def test_enlarging_keeps_colours_and_proportions():
    picture = np.full((64, 48, 3), (200, 100, 50), np.uint8)
    larger = enlarged(picture, 3)
    assert larger.shape == (192, 144, 3)
    assert (larger == (200, 100, 50)).all()
