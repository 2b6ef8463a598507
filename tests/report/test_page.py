import re
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest

from reseen.evaluation.report import FEATURES, FeatureScores, Report, Trial
from reseen.evaluation.scoring import Ranking
from reseen.report.page import (
    STRIP,
    Illustration,
    PageTable,
    Section,
    headline_kind,
    write_page,
)
from reseen.report.pictures import NEGATIVE, POSITIVE
from reseen.report.plots import INK, STROKES, cmc_figure, svg

EVIL = '<script>alert("1")</script>'
VOID = {"meta", "img", "br", "wbr", "link", "input", "hr"}


class Page(HTMLParser):
    """Elements of a page; stops at one that is closed in the wrong order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def tags(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def report(kinds=tuple(FEATURES), trials=1, weights=None):
    return Report(
        "noise",
        "cross-camera",
        tuple(
            Trial(
                trial,
                {
                    kind: FeatureScores(
                        (0.25 * (1 + trial), *[0.75] * 49), 0.4, 0.3, 8, 1, 8.0, (0.125,) * 50
                    )
                    for kind in kinds
                },
                weights or {},
            )
            for trial in range(trials)
        ),
    )


@pytest.fixture
def store(make_store):
    return make_store([(person, camera, 5) for person in range(1, 13) for camera in (1, 2)])


def ranking(store, right_at):
    right = np.arange(1, 13) == right_at
    return Ranking(store.names[0], store.names[1::2], np.arange(1.0, 13), right)


def written(tmp_path, scores=None, **arguments):
    path = tmp_path / "report.html"
    defaults = {"title": "Noise", "facts": {"seed": "0"}}
    write_page(path, scores or report(), **{**defaults, **arguments})
    return Page(path.read_text(encoding="utf-8"))


def test_the_first_sentence_is_about_the_papers_final_feature_not_the_best():
    assert headline_kind(report()) == "parts"
    assert headline_kind(report(("spatial", "temporal", "fused"))) == "fused"
    assert headline_kind(report(("spatial", "temporal"))) == "temporal"


def test_the_page_says_what_was_found_in_plain_words(tmp_path):
    page = written(tmp_path)
    assert "25.0 % of queries find the right person first." in page.text
    assert "In 75.0 % of queries the right person is among the first five." in page.text
    assert "8 queries scored, 1 unscored for want of a match" in page.text


def test_the_table_holds_the_reports_rows(tmp_path):
    scores = report(trials=3)
    page = written(tmp_path, scores)
    for row in scores.rows():
        assert " ".join(row) in page.text


def test_weights_of_the_body_parts_are_shown_where_there_are_any(tmp_path):
    assert "body part weighs" not in written(tmp_path).text
    weights = {"full": 0.5, "upper": 0.375, "lower": 0.125}
    page = written(tmp_path, report(weights=weights))
    assert "full 0.50 upper 0.38 lower 0.12" in page.text
    widths = [span["style"] for span in page.tags("span") if span.get("class") == "bar"]
    assert widths == ["width: 50.0%", "width: 37.5%", "width: 12.5%"]


def test_nothing_is_loaded_from_anywhere_and_no_script_runs(tmp_path, store):
    pictures = (Illustration(svg(cmc_figure(report())), "curves"),)
    page = written(
        tmp_path,
        store=store,
        rankings=[ranking(store, 2)],
        sections=[Section("S", (), (), pictures)],
    )
    assert not page.tags("script")
    assert not page.tags("link")
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href"):
                assert value.startswith(("data:image/", "#")), (tag, value[:40])
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_names_and_texts_are_shown_never_obeyed(tmp_path, store):
    object.__setattr__(store, "names", tuple(f"{EVIL}{name}" for name in store.names))
    page = written(
        tmp_path,
        title=EVIL,
        store=store,
        rankings=[ranking(store, 1)],
        facts={EVIL: EVIL},
        notes=[EVIL],
        sections=[
            Section(
                EVIL,
                (EVIL,),
                (PageTable((EVIL, "b"), ((EVIL, EVIL),), EVIL),),
                (Illustration("<svg></svg>", EVIL, EVIL),),
            )
        ],
    )
    assert not page.tags("script")
    # Title twice, note, fact twice; a section's heading, paragraph, column, cells, captions.
    assert page.text.count(EVIL) == 2 + 1 + 2 + 1 + 1 + 1 + 2 + 2
    # In the query's and eight found tracklets' names, lines may break after a slash.
    assert page.text.count(EVIL.replace("/", "/ ")) == 1 + 8


def test_ranked_lists_say_in_words_and_marks_what_the_frames_say_in_colour(tmp_path, store):
    page = written(tmp_path, store=store, rankings=[ranking(store, right) for right in (1, 3, 11)])
    for told in ("Best query first match at rank 1", "Median query first match at rank 3"):
        assert told in page.text
    assert "Worst query first match at rank 11" in page.text
    kinds = [figure["class"].strip() for figure in page.tags("figure")]
    assert kinds.count("query") == 3
    assert kinds.count("positive") + kinds.count("positive later") == 3
    assert kinds.count("positive later") == 1
    assert kinds.count("negative") == 7 + 7 + 8
    assert "✓ 3 3.00 camera 2" in page.text
    assert "✗ 1 1.00 camera 2" in page.text


def test_every_picture_is_described(tmp_path, store):
    page = written(
        tmp_path,
        store=store,
        rankings=[ranking(store, 1)],
        sections=[Section("S", pictures=(Illustration("<svg></svg>", "a described picture"),))],
    )
    assert all(image["alt"] for image in page.tags("img"))
    described = [div["aria-label"] for div in page.tags("div") if div.get("role") == "img"]
    assert described[1:] == ["a described picture"]
    assert described[0].startswith(
        "CMC curves from rank 1 to 20. At rank 1: colours alone 25.0 %, "
    )
    assert ", spatial (CNN) 25.0 %, " in described[0]


def test_published_rows_are_marked_as_such(tmp_path):
    table = PageTable(
        ("method", "rank 1"), (("ours", "50.0"), ("theirs", "77")), "", frozenset({1})
    )
    page = written(tmp_path, sections=[Section("Beside", tables=(table,))])
    assert "ours 50.0 theirs published 77" in page.text
    assert [row.get("class") for row in page.tags("tr")][-2:] == [None, "published"]


def test_facts_of_several_lines_are_kept(tmp_path):
    page = written(tmp_path, facts={"settings": "[network]\ndropout = 0.6"})
    assert "[network]\ndropout = 0.6" in page.words


def styles():
    return (files("reseen.report") / "template" / "report.css").read_text(encoding="utf-8")


def test_a_strip_plays_as_many_frames_as_it_holds_and_rests_on_its_middle():
    assert f"steps({STRIP}, jump-none)" in styles()
    rest = re.search(r"object-position: ([\d.]+)% 0", styles())
    assert float(rest[1]) == pytest.approx(100 * (STRIP // 2) / (STRIP - 1))


def test_the_page_sets_every_colour_of_the_figures_for_light_and_for_dark():
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for block in re.findall(r":root \{(.*?)\}", styles(), flags=re.DOTALL)
    )
    figures = INK | {stroke.name: stroke.colour for stroke in STROKES.values()}
    assert figures.items() <= light.items()
    assert (light["positive"], light["negative"]) == (POSITIVE, NEGATIVE)
    assert dark.keys() == light.keys()
