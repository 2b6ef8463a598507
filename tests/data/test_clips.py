import cv2
import numpy as np
import pytest
import torch

from reseen.data.clips import (
    CROP_HEIGHT,
    CROP_WIDTH,
    ClipConfig,
    Crops,
    FrameReader,
    PairSampler,
    PeopleSampler,
    augmentation_crops,
    clip_rows,
    crop,
    middle_crop,
    normalise,
    tracklet_clips,
)
from reseen.errors import ReseenError

FRAMES = 4
TRACKLETS = [
    (1, 1, 9), (1, 2, 3), (1, 2, 8),
    (2, 1, 4), (2, 2, 5),
    (3, 1, 1), (3, 2, 13), (3, 3, 6),
    (4, 1, 7),
]  # fmt: skip
"""Person 4 is seen by one camera only; some tracklets are shorter than a clip."""


@pytest.fixture
def store(make_store):
    return make_store(TRACKLETS)


@pytest.fixture
def sampler(store):
    def make(pairs=2, start="chunk", seed=0):
        return PairSampler(store, range(len(store)), pairs, FRAMES, start, seed)

    return make


def owners(store, rows):
    """Index of the tracklet that holds each clip, (2, B)."""
    return np.searchsorted(store.starts, rows[..., 0], side="right") - 1


@pytest.mark.parametrize("pairs", [1, 2, 3, 4])
def test_half_of_the_pairs_are_positive(sampler, pairs):
    positives = [
        int((plan.labels[0] == plan.labels[1]).sum()) for plan in map(sampler(pairs).draw, range(8))
    ]
    assert sum(positives) == 8 * pairs // 2
    assert max(positives) - min(positives) == pairs % 2
    assert len(set(positives[::2])) == 1


def test_single_pairs_alternate_as_in_the_baseline(sampler):
    plans = [sampler(pairs=1).draw(step) for step in range(6)]
    same = [bool(plan.labels[0, 0] == plan.labels[1, 0]) for plan in plans]
    assert same == [False, True] * 3


def test_positive_pairs_span_two_cameras_and_labels_tell_the_truth(sampler, store):
    made = sampler()
    for step in range(50):
        plan = made.draw(step)
        tracklets = owners(store, plan.rows)
        persons, cameras = store.persons[tracklets], store.cameras[tracklets]
        np.testing.assert_array_equal(persons, plan.labels + 1)
        positive = persons[0] == persons[1]
        assert positive.tolist() == [True, False]
        assert (cameras[0] != cameras[1])[positive].all()


def test_negative_pairs_take_any_two_people_in_any_cameras(sampler, store):
    made = sampler()
    persons, cameras = set(), set()
    for step in range(200):
        chosen = owners(store, made.draw(step).rows)[:, 1]
        persons.add(tuple(store.persons[chosen].tolist()))
        cameras.add(tuple(store.cameras[chosen].tolist()))
    assert persons == {(a, b) for a in (1, 2, 3, 4) for b in (1, 2, 3, 4) if a != b}
    assert cameras == {(a, b) for a in (1, 2, 3) for b in (1, 2, 3)} - {(3, 3)}


@pytest.mark.parametrize("pairs", [1, 3, 4])
def test_people_take_turns(sampler, pairs):
    made = sampler(pairs)
    plans = [made.draw(step) for step in range(12)]
    turns = [label for plan in plans for label in plan.labels[0][plan.labels[0] == plan.labels[1]]]
    assert len(turns) == 6 * pairs
    rounds = np.reshape(turns, (-1, 3)).tolist()
    assert all(sorted(round_) == [0, 1, 2] for round_ in rounds)
    assert len({tuple(round_) for round_ in rounds}) > 1


def test_drawing_depends_on_seed_and_step_alone(sampler):
    plans = [sampler().draw(step) for step in range(4)]
    again = [sampler().draw(step) for step in (3, 2, 1, 0)][::-1]
    for plan, same in zip(plans, again, strict=True):
        np.testing.assert_array_equal(plan.rows, same.rows)
        np.testing.assert_array_equal(plan.labels, same.labels)
        np.testing.assert_array_equal(plan.crops.mirrored, same.crops.mirrored)
    others = [sampler(seed=1).draw(step) for step in range(4)]
    assert any((a.rows != b.rows).any() for a, b in zip(plans, others, strict=True))


@pytest.mark.parametrize(
    ("start", "expected"),
    [("chunk", {9: {0, 4}, 8: {0, 4}, 13: {0, 4, 8}, 7: {0}, 5: {0}, 4: {0}, 3: {0}, 1: {0},
                6: {0}}),
     ("random", {9: set(range(6)), 8: set(range(5)), 13: set(range(10)), 7: set(range(4)),
                 5: {0, 1}, 4: {0}, 3: {0}, 1: {0}, 6: {0, 1, 2}})],
)  # fmt: skip
def test_clips_start_where_they_may(sampler, store, start, expected):
    made = sampler(pairs=8, start=start)
    seen = {length: set() for length in expected}
    for step in range(150):
        rows = made.draw(step).rows.reshape(-1, FRAMES)
        for tracklet, clip in zip(owners(store, rows), rows, strict=True):
            seen[int(store.lengths[tracklet])].add(int(clip[0] - store.starts[tracklet]))
    assert seen == expected


def test_clips_are_consecutive_frames_of_one_tracklet(sampler, store):
    made = sampler(start="random")
    for step in range(50):
        rows = made.draw(step).rows.reshape(-1, FRAMES)
        for tracklet, clip in zip(owners(store, rows), rows, strict=True):
            places = clip - store.starts[tracklet]
            np.testing.assert_array_equal(
                np.diff(places) % store.lengths[tracklet], 1 % store.lengths[tracklet]
            )
            assert places.max() < store.lengths[tracklet]


def test_crops_use_every_offset_from_1_to_8_and_mirror_half(sampler):
    made = sampler(pairs=8)
    crops = [made.draw(step).crops for step in range(60)]
    for edges in ([c.top for c in crops], [c.left for c in crops]):
        assert set(np.concatenate(edges)) == set(range(1, 9))
    assert np.mean([c.mirrored for c in crops]) == pytest.approx(0.5, abs=0.06)
    independent = [(c.mirrored[:8] != c.mirrored[8:]).mean() for c in crops]
    assert np.mean(independent) == pytest.approx(0.5, abs=0.1)


def test_processes_share_a_step_without_gap_or_overlap(sampler):
    plan = sampler(pairs=6).draw(5)
    shares = [plan.share(rank, 3) for rank in range(3)]
    assert sorted(np.concatenate([share.places for share in shares])) == list(range(12))
    clips = plan.rows.reshape(12, FRAMES)
    for share in shares:
        np.testing.assert_array_equal(share.rows.reshape(-1, FRAMES), clips[share.places])
        np.testing.assert_array_equal(share.labels.ravel(), plan.labels.ravel()[share.places])
        np.testing.assert_array_equal(share.crops.left, plan.crops.left[share.places])


def test_who_works_on_a_whole_step_has_all_of_its_places(sampler):
    assert sampler(pairs=3).draw(1).places.tolist() == list(range(6))


def test_two_people_are_enough(make_store):
    store = make_store([(7, 1, 4), (7, 2, 4), (8, 1, 4)])
    made = PairSampler(store, range(3), 2, FRAMES, "chunk", 0)
    negatives = {tuple(made.draw(step).labels[:, 1].tolist()) for step in range(20)}
    assert negatives == {(0, 1), (1, 0)}


def test_one_person_cannot_be_trained_on(make_store):
    store = make_store([(7, 1, 4), (7, 2, 4)])
    with pytest.raises(ReseenError, match=r"two people or more, not \[7\]"):
        PairSampler(store, [0, 1], 2, FRAMES, "chunk", 0)


def test_people_seen_by_one_camera_each_cannot_be_trained_on(make_store):
    store = make_store([(7, 1, 4), (8, 2, 4)])
    with pytest.raises(ReseenError, match="no training person is seen by two cameras"):
        PairSampler(store, [0, 1], 2, FRAMES, "chunk", 0)


def test_short_tracklets_are_looped():
    assert clip_rows(10, 3, 0, 7).tolist() == [10, 11, 12, 10, 11, 12, 10]
    assert clip_rows(10, 1, 0, 3).tolist() == [10, 10, 10]
    assert clip_rows(10, 9, 4, 4).tolist() == [14, 15, 16, 17]


@pytest.mark.parametrize(
    ("length", "tail", "expected"),
    [
        (8, "drop", [[5, 6, 7, 8], [9, 10, 11, 12]]),
        (8, "loop", [[5, 6, 7, 8], [9, 10, 11, 12]]),
        (7, "drop", [[5, 6, 7, 8]]),
        (7, "loop", [[5, 6, 7, 8], [9, 10, 11, 9]]),
        (2, "drop", [[5, 6, 5, 6]]),
        (2, "loop", [[5, 6, 5, 6]]),
    ],
)
def test_tracklets_are_scored_in_groups_of_frames(length, tail, expected):
    assert [clip.tolist() for clip in tracklet_clips(5, length, 4, tail)] == expected


def test_reader_gives_stored_frames(store):
    rows = np.array([[3, 4, 5], [12, 0, 12]])
    read = FrameReader(store.frames, torch.device("cpu")).read(rows)
    assert read.dtype == torch.uint8
    np.testing.assert_array_equal(read.numpy(), np.asarray(store.frames)[rows])


def normalised_by_hand(frames, divide_by, flow_unit=255):
    """Section 1's preprocessing in float64, from what the stored bytes stand for."""
    luma, blue, red = (frames[..., place, :, :] / 255 for place in range(3))
    motion = (frames[..., 3:, :, :] - 127.0) / 8 / flow_unit
    blue, red = (blue - 0.5) * 0.872, (red - 0.5) * 1.230
    values = np.concatenate((np.stack((luma, blue, red), axis=-3), motion), axis=-3)
    centred = values - values.mean(axis=(-2, -1), keepdims=True)
    deviation = values.std(axis=(-2, -1), ddof=1, keepdims=True)
    return centred / {"unit": deviation, "root": np.sqrt(deviation)}[divide_by]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("flow_unit", [255, 4])
@pytest.mark.parametrize("divide_by", ["root", "unit"])
def test_channels_are_normalised_frame_by_frame(store, divide_by, flow_unit):
    frames = store.frames[np.arange(6)].reshape(2, 3, 5, 64, 48)
    values = normalise(
        torch.from_numpy(frames), "full", ClipConfig(normalise=divide_by, flow_unit=flow_unit)
    )
    expected = normalised_by_hand(frames.astype(np.float64), divide_by, flow_unit)
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("part", ["full", "upper", "lower"])
@pytest.mark.parametrize("divide_by", ["root", "unit"])
def test_channel_without_contrast_becomes_zero(store, divide_by, part):
    frames = torch.from_numpy(store.frames[np.arange(1)])
    frames[:, 1] = 201
    values = normalise(frames, part, ClipConfig(normalise=divide_by))
    assert values.isfinite().all()
    assert not values[:, 1].any()
    assert values[:, 0].any()


def test_flow_can_be_left_out(store):
    frames = torch.from_numpy(store.frames[np.arange(1)])
    values = normalise(frames, "full", ClipConfig(flow=False))
    assert values[:, :3].any()
    assert not values[:, 3:].any()


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("part", "rows"), [("upper", slice(0, 32)), ("lower", slice(32, 64))])
def test_half_bodies_are_resized_to_whole_frames(store, part, rows):
    frame = store.frames[np.int64(0)]
    halves = frame[:, rows].astype(np.float64)
    resized = np.stack(
        [cv2.resize(half, (48, 64), interpolation=cv2.INTER_LINEAR) for half in halves]
    )
    values = normalise(torch.from_numpy(frame[None, None]), part, ClipConfig(normalise="unit"))
    assert values.shape == (1, 1, 5, 64, 48)
    np.testing.assert_allclose(
        values[0, 0].numpy(), normalised_by_hand(resized, "unit"), rtol=1e-9, atol=1e-9
    )


def crops_of(*decisions):
    top, left, mirrored = zip(*decisions, strict=True)
    return Crops(np.array(top), np.array(left), np.array(mirrored))


def test_crop_cuts_mirrors_and_centres():
    clips = torch.randn(3, 2, 5, 64, 48)
    cut = crop(clips, crops_of((1, 8, False), (8, 1, True), (4, 3, True)), True)
    expected = [
        clips[0, :, :, 1:57, 8:48],
        clips[1, :, :, 8:64, 1:41].flip(-1),
        clips[2, :, :, 4:60, 3:43].flip(-1),
    ]
    for place in (1, 2):
        expected[place][:, 4] *= -1  # walking left has become walking right
    means = [piece.mean(dim=(1, 2, 3), keepdim=True) for piece in expected]
    expected = torch.stack([piece - mean for piece, mean in zip(expected, means, strict=True)])
    torch.testing.assert_close(cut, expected)
    assert cut.shape == (3, 2, 5, CROP_HEIGHT, CROP_WIDTH) == (3, 2, 5, 56, 40)


def test_mirror_may_leave_the_flow_as_the_baseline_does():
    clips = torch.randn(1, 2, 5, 64, 48)
    decision = crops_of((4, 4, True))
    plain = crop(clips, decision, False)
    expected = clips[..., 4:60, 4:44].flip(-1)
    torch.testing.assert_close(plain, expected - expected.mean(dim=(2, 3, 4), keepdim=True))


def test_crop_leaves_its_input_alone():
    clips = torch.randn(1, 2, 5, 64, 48)
    before = clips.clone()
    crop(clips, crops_of((4, 4, True)), True)
    assert torch.equal(clips, before)


def test_sixteen_augmentations_are_eight_diagonal_crops_and_their_mirrors():
    views = [
        (int(v.top[0]), int(v.left[0]), bool(v.mirrored[0])) for v in augmentation_crops(16, 3)
    ]
    assert sorted(views) == [(edge, edge, side) for edge in range(1, 9) for side in (False, True)]
    assert all(len(view.top) == 3 for view in augmentation_crops(16, 3))


def test_no_augmentation_is_the_middle():
    (view,) = augmentation_crops(1, 2)
    assert view.top.tolist() == view.left.tolist() == [4, 4]
    assert not view.mirrored.any()


def people_sampler(store, people=2, clips=3, start="chunk", tracklets=range(8)):
    return PeopleSampler(store, tracklets, people, clips, FRAMES, start, 0)


@pytest.mark.parametrize("start", ["chunk", "random"])
def test_a_step_has_clips_of_people_from_two_cameras_all_different(store, start):
    made = people_sampler(store, start=start, clips=2)
    seen = []
    for step in range(30):
        plan = made.draw(step)
        assert plan.rows.shape == (1, 4, FRAMES)
        tracklets = owners(store, plan.rows)[0]
        persons, cameras = store.persons[tracklets], store.cameras[tracklets]
        np.testing.assert_array_equal(persons, plan.labels[0] + 1)
        assert len(set(plan.rows[0, :, 0].tolist())) == 4
        for person in np.unique(persons):
            assert len(set(cameras[persons == person])) == 2
        seen.append(sorted(set(persons.tolist())))
    assert all(len(step) == 2 for step in seen)
    assert {tuple(step) for step in seen} == {(1, 2), (1, 3), (2, 3)}


def test_people_of_a_step_take_turns_in_rounds(make_store):
    store = make_store([(person, camera, 8) for person in range(1, 7) for camera in (1, 2)])
    made = people_sampler(store, people=2, clips=4, tracklets=range(12))
    rounds = [[made.draw(3 * round_ + step) for step in range(3)] for round_ in range(4)]
    for plans in rounds:
        labels = np.concatenate([plan.labels[0, ::4] for plan in plans])
        assert sorted(labels.tolist()) == [0, 1, 2, 3, 4, 5]
    again = made.draw(7)
    np.testing.assert_array_equal(again.rows, rounds[2][1].rows)


def test_processes_share_the_clips_of_people(store):
    plan = people_sampler(store, clips=2).draw(3)
    shares = [plan.share(rank, 2) for rank in (0, 1)]
    assert sorted(np.concatenate([share.places for share in shares]).tolist()) == [0, 1, 2, 3]
    for share in shares:
        np.testing.assert_array_equal(share.rows, plan.rows[:, share.places])
        np.testing.assert_array_equal(share.labels, plan.labels[:, share.places])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"people": 4}, r"train\.people = 4 needs as many training people, there are 3"),
        (
            {"clips": 3, "tracklets": range(5)},
            r"2 has 2 clips of 4 frames, train\.clips = 3",
        ),
        ({"clips": 2, "tracklets": range(9)}, "person 4 is seen by one camera only"),
    ],
)
def test_people_and_clips_that_are_not_there_are_named(store, options, message):
    with pytest.raises(ReseenError, match=message):
        people_sampler(store, **options)


def test_vectors_are_chosen_by_part_and_mirror():
    """Six vectors a frame: plain and mirrored, of the full, the upper and the lower body."""
    frames = torch.arange(2 * 3 * 6.0).reshape(2, 3, 6, 1).half()
    upper = normalise(frames, "upper", ClipConfig())
    assert upper.shape == (2, 3, 2, 1)
    cut = crop(upper, crops_of((1, 1, False), (8, 8, True)), True)
    assert cut[..., 0].tolist() == [[2, 8, 14], [21, 27, 33]]
    assert len(augmentation_crops(16, 1, cut=False)) == 2


def test_the_middle_crop_is_the_crop_without_augmentation():
    clips = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 5, 64, 48)))
    (only,) = augmentation_crops(1, 2)
    torch.testing.assert_close(middle_crop(clips), crop(clips, only, False))
