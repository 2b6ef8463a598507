import numpy as np
import pytest

from reseen.data.colour_histogram import (
    BRIGHTNESSES,
    HEIGHT,
    HUES,
    STRIPE_COUNT,
    STRIPE_DIMENSIONS,
    WIDTH,
    ColourHistogram,
)
from reseen.data.frame_vectors import open_network
from reseen.gallery.extractors import open_extractor


def histograms(*pictures):
    """The mean histogram of each stripe: (8, hues and brightnesses)."""
    ((feature),) = ColourHistogram().embed([pictures])
    return (feature**2).reshape(STRIPE_COUNT, HUES + BRIGHTNESSES)


def colours(left, right):
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    picture[:, : WIDTH // 2], picture[:, WIDTH // 2 :] = left, right
    return picture


def test_black_and_white_stripes_count_as_darkest_and_brightest():
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[HEIGHT // 2 :] = 255
    expected = np.zeros((STRIPE_COUNT, HUES + BRIGHTNESSES))
    expected[: STRIPE_COUNT // 2, HUES] = 1 / STRIPE_COUNT
    expected[STRIPE_COUNT // 2 :, -1] = 1 / STRIPE_COUNT
    np.testing.assert_allclose(histograms(picture), expected, atol=1e-6)


def test_red_and_cyan_halves_count_as_hues_0_and_180_degrees():
    expected = np.zeros((STRIPE_COUNT, HUES + BRIGHTNESSES))
    expected[:, [0, HUES // 2]] = 0.5 / STRIPE_COUNT
    found = histograms(colours((255, 0, 0), (0, 255, 255)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_hue_between_two_bins_is_shared_by_them():
    # 22.5 and 202.5 degrees lie half way between the eight hues, which are 45 degrees apart.
    found = histograms(colours((240, 90, 0), (0, 150, 240)))
    np.testing.assert_allclose(found[:, :HUES].sum(axis=0)[[0, 1, 4, 5]], 0.25, atol=0.01)


def test_a_picture_has_the_feature_of_its_mirror_image(draw_person):
    picture = draw_person(1)
    np.testing.assert_allclose(histograms(picture[:, ::-1]), histograms(picture), atol=1e-6)


def test_a_tracklet_has_the_mean_histogram_of_its_pictures(draw_person):
    first, second = draw_person(1), draw_person(2)
    mean = (histograms(first) + histograms(second)) / 2
    np.testing.assert_allclose(histograms(first, second), mean, atol=1e-6)


def test_features_have_length_1_whatever_the_pictures_are():
    random = np.random.default_rng(0)
    sizes = [(128, 48), (7, 5), (300, 90), (1, 1)]
    tracklets = [[random.integers(0, 256, (*size, 3), np.uint8)] for size in sizes]
    flat = [[np.full((40, 20, 3), value, np.uint8)] for value in (0, 128, 255)]
    features = ColourHistogram().embed([*tracklets, *flat])
    assert features.shape == (7, STRIPE_DIMENSIONS)
    assert features.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)


def test_no_tracklets_have_no_features():
    assert ColourHistogram().embed([]).shape == (0, STRIPE_DIMENSIONS)


def test_people_are_found_again_in_dimmer_and_bluer_light(draw_person):
    people = range(12)
    day = [[draw_person(person, frame) for frame in range(4)] for person in people]
    dusk = [[draw_person(person, frame, light=0.5) for frame in range(4, 8)] for person in people]
    blue = np.array([0.8, 0.9, 1.1])
    dusk = [[(picture * blue).astype(np.uint8) for picture in pictures] for pictures in dusk]
    first, second = ColourHistogram().embed(day), ColourHistogram().embed(dusk)
    distances = np.linalg.norm(first[:, None] - second[None], axis=2)
    assert np.mean(distances.argmin(axis=1) == np.arange(12)) >= 11 / 12


@pytest.mark.parametrize("light", [0.4, 1.2])
def test_brighter_light_changes_the_feature_less_than_other_clothes(draw_person, light):
    usual, lit, other = histograms(draw_person(3)), draw_person(3, 1, light), draw_person(4)
    change = np.linalg.norm(np.sqrt(usual) - np.sqrt(histograms(lit)))
    assert change < np.linalg.norm(np.sqrt(usual) - np.sqrt(histograms(other)))


def test_a_networks_embedding_is_the_mean_over_evenly_spaced_pictures(draw_person):
    extractor = open_extractor("lite0")
    tracklets = [
        [draw_person(person, frame) for frame in range(count)]
        for person, count in ((1, 3), (2, 40), (3, 1))
    ]
    network = open_network("lite0")
    means = [
        network.vectors([tracklet[place] for place in places]).mean(axis=0, dtype=np.float64)
        for tracklet, places in zip(
            tracklets, ([0, 1, 2], np.linspace(0, 39, 16).round().astype(int), [0]), strict=True
        )
    ]
    expected = [mean / np.linalg.norm(mean) for mean in means]
    np.testing.assert_allclose(extractor.embed(iter(tracklets)), expected, atol=1e-5)
    assert extractor.embed([]).shape == (0, extractor.dimensions)


def test_lite0_tells_two_people_apart_in_another_light(draw_person):
    embed = open_extractor("lite0").embed
    seen = [[draw_person(person, frame) for frame in range(4)] for person in (1, 2)]
    again = [[draw_person(person, frame, 0.7) for frame in range(9, 13)] for person in (1, 2)]
    similarity = embed(seen) @ embed(again).T
    assert (similarity.argmax(axis=1) == [0, 1]).all()
