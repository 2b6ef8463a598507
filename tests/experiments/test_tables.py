"""What the tables of `reproduce` say of given scores, worked out by hand."""

from dataclasses import replace

import pytest

from reseen.evaluation.intervals import wilson_interval
from reseen.evaluation.report import FeatureScores, Report, Trial
from reseen.experiments.tables import Results, learning_curves, sections

PEOPLE = 40


def trial_of(number, **first_ranks):
    """A trial whose CMC rises by 5 points a rank from what is given; chance is 5 % a rank."""
    return Trial(
        number,
        {
            kind: FeatureScores(
                tuple(min(1.0, share + 0.05 * place) for place in range(50)),
                share / 2,
                share / 4,
                PEOPLE,
                2,
                float(PEOPLE),
                tuple(min(1.0, 0.05 * place) for place in range(1, 51)),
            )
            for kind, share in first_ranks.items()
        },
    )


def report_of(*trials):
    every = tuple(trial_of(number, **shares) for number, shares in enumerate(trials))
    return Report("synthetic", "cross-camera", every)


def kinds(spatial, temporal, fused):
    return {"spatial": spatial, "temporal": temporal, "fused": fused}


@pytest.fixture
def several():
    """Three trials; the baseline is 10, 20 and 30 points behind."""
    paper = report_of(kinds(0.3, 0.2, 0.6), kinds(0.4, 0.2, 0.7), kinds(0.5, 0.2, 0.8))
    baseline = report_of(kinds(0.1, 0.5, 0.2), kinds(0.1, 0.5, 0.2), kinds(0.1, 0.5, 0.2))
    return Results(
        variants={"paper": paper, "mclaughlin": baseline},
        budgets={
            "paper": {
                5: report_of(*[kinds(0.1, 0.1, share) for share in (0.2, 0.3, 0.4)]),
                2: report_of(*[kinds(0.1, 0.1, 0.1)] * 3),
            },
            "mclaughlin": {
                5: report_of(*[kinds(0.1, 0.25, 0.1)] * 3),
                2: report_of(*[kinds(0.1, 0.15, 0.1)] * 3),
            },
        },
        metrics={"xqda": report_of(*[kinds(0.1, 0.1, share) for share in (0.7, 0.7, 0.7)])},
        rebuilt={
            "TDL": report_of(*[kinds(0.1, 0.1, share) for share in (0.5, 0.6, 0.7)]),
            "RCN + KISSME": report_of(*[{"temporal": share} for share in (0.2, 0.3, 0.4)]),
        },
        left_out={"kissme": "there is nothing to learn", "SRID": "nobody is there"},
        updates=10,
        pairs=8,
        clips=16,
    )


@pytest.fixture
def one():
    """A single trial after a single update, the baseline at chance level."""
    return Results(
        variants={
            "paper": report_of(kinds(0.3, 0.05, 0.6)),
            "mclaughlin": report_of(kinds(0.3, 0.05, 0.6)),
        },
        budgets={"paper": {}, "mclaughlin": {}},
        metrics={},
        rebuilt={},
        left_out={},
        updates=1,
        pairs=8,
        clips=16,
    )


def section(results, start, dataset="synthetic"):
    (found,) = [each for each in sections(results, dataset) if each.heading.startswith(start)]
    return found


def test_shares_are_means_and_the_deviation_of_a_sample(several):
    """60, 70, 80: 70 ± 10, and by Student's t 4.303 · 10 / √3 = 24.8 to either side."""
    (table,) = section(several, "Table 3").tables
    assert table.columns == ("", "rank 1", "rank 5", "rank 10", "rank 20", "rank 1, 95 %")
    assert table.rows[0][:3] == ("spatial (CNN)", "40.0 ± 10.0", "60.0 ± 10.0")
    assert table.rows[2] == (
        "fused (CNN+RNN)", "70.0 ± 10.0", "90.0 ± 10.0", "100.0 ± 0.0", "100.0 ± 0.0",
        "45.2 to 94.8",
    )  # fmt: skip
    assert table.rows[3] == ("chance level", "5.0", "25.0", "50.0", "100.0", "")
    assert table.published == frozenset()


def test_table_1_says_how_far_ours_is_from_the_baseline_on_the_same_people(several):
    """Differences of 10, 20 and 30 points: 20 ± 4.303 · 10 / √3, by Student's t."""
    table1 = section(several, "Table 1")
    assert "Against it, ours is +20.0 (-4.8 to +44.8) points at rank 1 (95 %)." in " ".join(
        table1.paragraphs
    )
    (table,) = table1.tables
    assert [row[:2] for row in table.rows] == [
        ("reseen", "70.0 ± 10.0"),
        ("McLaughlin et al., trained here", "50.0 ± 0.0"),
        ("TDL on our fused feature, here", "60.0 ± 10.0"),
        ("RCN + KISSME, trained here", "30.0 ± 10.0"),
    ]


def test_the_modern_row_shows_what_its_trunk_gives_without_a_head_too(several):
    shares = [{"fused": share, "trunk-lda": 0.5} for share in (0.6, 0.7, 0.8)]
    learned = {"xqda": report_of(*({"trunk": share} for share in (0.3, 0.4, 0.5)))}
    shown = replace(several, modern=report_of(*shares), trunk_metrics=learned)
    (table,) = section(shown, "Table 1").tables
    assert [row[:2] for row in table.rows][-3:] == [
        ("the preset modern, on a pretrained trunk, trained here", "70.0 ± 10.0"),
        ("LDA of the same trunk's vectors, here", "50.0 ± 0.0"),
        ("XQDA of the same trunk's vectors, here", "40.0 ± 10.0"),
    ]


def test_curves_of_learning_have_each_budget_and_the_features_meant_to_be_used(several):
    """Of 20, 30, 40 %: 30 ± 4.303 · 10 / √3, cut at 0 and 1; 16 clips an update."""
    curves = learning_curves(several)
    assert {name: sorted(points) for name, points in curves.items()} == {
        "paper, fused": [32, 80, 160],
        "mclaughlin, temporal": [32, 80, 160],
    }
    assert curves["paper, fused"][80] == pytest.approx((0.3, 0.0516, 0.5484), abs=1e-4)
    assert curves["mclaughlin, temporal"][160] == pytest.approx((0.5, 0.5, 0.5))


def test_methods_that_are_not_measured_are_named_with_the_reason(several, one):
    words = section(several, "Table 1").paragraphs
    assert "SRID is left out: nobody is there." in words
    assert any(
        text.startswith("Not measured here: DVR (it") and "STFV3D of K. Liu et al. (its" in text
        for text in words
    )
    assert not any("Not measured" in text for text in section(one, "Table 1").paragraphs)
    assert "SRID" not in " ".join(section(several, "Table 2").paragraphs)


def test_two_trials_are_enough_for_an_interval(several):
    """Differences of 10 and 30 points: 20 ± 12.706 · 14.142 / √2, by Student's t."""
    paper, baseline = (
        Report(report.dataset, report.protocol, (report.trials[0], report.trials[2]))
        for report in several.variants.values()
    )
    both = {"paper": paper, "mclaughlin": baseline}
    two = Results(both, {"paper": {}, "mclaughlin": {}}, {}, {}, {}, 10, 8, 16)
    (table,) = section(two, "Table 1").tables
    assert table.rows[0][1] == "70.0 ± 14.1"
    words = section(two, "Table 1").paragraphs[0]
    assert words.endswith("ours is +20.0 (-107.1 to +147.1) points at rank 1 (95 %).")


def test_without_the_baseline_nothing_is_compared(several):
    alone = Results(
        {"paper": several.variants["paper"]},
        {"paper": {}},
        {},
        {},
        {},
        several.updates,
        several.pairs,
        several.clips,
    )
    (table,) = section(alone, "Table 1").tables
    assert len(table.rows) == 1
    assert "Against it" not in " ".join(section(alone, "Table 1").paragraphs)


def test_one_trial_has_the_interval_of_its_queries_and_no_deviation(one):
    (table,) = section(one, "Table 3").tables
    low, high = wilson_interval(0.6, PEOPLE)
    assert table.rows[2][1] == "60.0"
    assert table.rows[2][-1] == f"{100 * low:.1f} to {100 * high:.1f}"
    (differences,) = section(one, "One change").tables
    assert "interval" not in differences.caption
    assert differences.rows[1][-1] == "-55.0"


def test_one_trial_claims_no_interval_of_the_difference(one):
    words = " ".join(section(one, "Table 1").paragraphs)
    assert "Against it, ours is +55.0 points at rank 1, in this one trial." in words
    assert "95 %" not in words


def test_results_at_chance_level_are_said_in_words(one, several):
    words = section(one, "One change").paragraphs
    assert words == (
        "No better than chance level at rank 1: McLaughlin et al. baseline, temporal.",
    )
    assert section(several, "One change").paragraphs == ()
    assert "at rank 1 no better than chance level: temporal" in one.variants["paper"].caption


def test_a_budget_too_small_to_halve_has_no_table(one, several):
    assert not any(each.heading.startswith("What a smaller") for each in sections(one, ""))
    (table,) = section(several, "What a smaller").tables
    assert table.columns == ("variant", "16 pairs", "40 pairs", "80 pairs")
    assert table.rows == (
        ("paper, fused", "10.0 ± 0.0", "30.0 ± 10.0", "70.0 ± 10.0"),
        ("McLaughlin et al. baseline, temporal", "15.0 ± 0.0", "25.0 ± 0.0", "50.0 ± 0.0"),
    )


def test_the_ablation_compares_each_variant_by_its_own_feature(several):
    ablation = section(several, "One change")
    (table,) = ablation.tables
    assert table.rows[0] == (
        "paper, fused", "40.0 ± 10.0", "20.0 ± 0.0", "70.0 ± 10.0", "45.2 to 94.8", "",
    )  # fmt: skip
    assert table.rows[1] == (
        "McLaughlin et al. baseline, temporal", "10.0 ± 0.0", "50.0 ± 0.0", "20.0 ± 0.0",
        "50.0 to 50.0", "-20.0 (-44.8 to +4.8)",
    )  # fmt: skip
    assert "10 updates of 8 pairs of 16 clips each; the chance level is 5.0." in table.caption
    assert "mean difference in points over trials" in table.caption


def test_learned_metrics_stand_beside_the_plain_distance(several):
    table2 = section(several, "Table 2")
    assert "KISSME is left out: there is nothing to learn." in table2.paragraphs
    (table,) = table2.tables
    assert [row[:2] for row in table.rows] == [
        ("fused + Euclidean", "70.0 ± 10.0"),
        ("fused + XQDA", "70.0 ± 0.0"),
    ]


@pytest.mark.parametrize(
    ("start", "measured", "published", "row"),
    [
        ("Table 1", 4, 8, ("Chen et al., published", "77", "93", "95", "98", "–")),
        ("Table 2", 2, 3, ("Zheng et al. + XQDA, published", "77", "94", "–", "99", "–")),
        ("Table 3", 4, 4, ("parts (Fusion), published", "77", "93", "95", "98", "–")),
    ],
)
def test_printed_numbers_are_marked_as_published(several, start, measured, published, row):
    (table,) = section(several, start, "prid2011").tables
    assert table.published == frozenset(range(measured, measured + published))
    assert row in [table.rows[place] for place in table.published]


def test_every_trial_is_shown(several):
    (table,) = section(several, "Rank 1").tables
    assert table.columns == ("trial", "spatial (CNN)", "temporal (RNN)", "fused (CNN+RNN)")
    assert table.rows[2] == ("2", "50.0", "20.0", "80.0")


def test_the_document_holds_every_report(several):
    document = several.document()
    assert document["mean"]["fused"]["cmc"]["1"] == pytest.approx(0.7)
    assert (document["updates"], document["pairs"]) == (10, 8)
    assert document["variants"]["mclaughlin"]["mean"]["temporal"]["cmc"]["1"] == 0.5
    assert set(document["budgets"]["paper"]) == {"2", "5"}
    assert document["metrics"]["xqda"]["dataset"] == "synthetic"
    assert set(document["left_out"]) == {"kissme", "SRID"}
    assert document["rebuilt"]["TDL"]["mean"]["fused"]["cmc"]["1"] == pytest.approx(0.6)
