import pytest
import torch

from reseen.network.config import Config, LossConfig, NetworkConfig, OptimiserConfig
from reseen.network.losses import Learner, LearnerStack, draw_masks
from reseen.network.training import make_optimiser, weights_of

PAIRS, FRAMES, PEOPLE = 1, 2, 4
NETWORKS = {
    "paper": Config(),
    "baseline": Config.preset("mclaughlin"),
    "separate": Config(network=NetworkConfig(recurrent_input="separate", learned_start=True)),
    "no dropout": Config(network=NetworkConfig(dropout=0, recurrent_dropout=0)),
    "no recurrent dropout": Config(network=NetworkConfig(recurrent_dropout=0)),
    "hardest": Config(loss=LossConfig(negatives="hardest")),
}


def batch_of(config, seed, people=None):
    """Pairs, or two clips of each of so many people, which all pair."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(PEOPLE, (2, PAIRS), generator=generator)
    if people is not None:
        labels = torch.randperm(PEOPLE, generator=generator)[:people].repeat(2)[None]
    clips = torch.randn(labels.numel(), FRAMES, 5, 56, 40, generator=generator).double()
    masks = draw_masks(config.network, labels.numel(), FRAMES, 2560, generator)
    return (
        clips,
        labels,
        masks and type(masks)(*(mask if mask is None else mask.double() for mask in masks)),
    )


def train(learner, config, batches):
    optimiser = make_optimiser(learner, config)
    losses = []
    for batch in batches:
        optimiser.zero_grad()
        terms = learner(*batch)
        terms.total.sum().backward()
        optimiser.step()
        losses.append(terms.total.detach())
    return torch.stack(losses)


def stacked(batches):
    clips, labels, masks = zip(*batches, strict=True)
    together = None
    if masks[0] is not None:
        together = type(masks[0])(
            *(
                None if values[0] is None else torch.stack(values)
                for values in zip(*masks, strict=True)
            )
        )
    return torch.stack(clips), torch.stack(labels), together


@pytest.mark.parametrize(
    ("network", "optimiser", "people"),
    [
        *((name, "sgd", None) for name in NETWORKS),
        ("paper", "adam", None),
        ("paper", "sgd", 2),
        ("hardest", "sgd", 2),
    ],
)
def test_stacked_learners_learn_what_each_learns_alone(network, optimiser, people):
    config = NETWORKS[network]
    settings = OptimiserConfig(name=optimiser, learning_rate=0.01)
    learners = [Learner(config, PEOPLE, seed).double() for seed in (3, 4)]
    stack = LearnerStack(learners)
    steps = [
        [batch_of(config, 10 * step + place, people) for place in range(2)] for step in range(2)
    ]
    together = train(stack, settings, [stacked(step) for step in steps])
    for place, learner in enumerate(learners):
        alone = train(learner, settings, [step[place] for step in steps])
        torch.testing.assert_close(together[:, place], alone, rtol=1e-10, atol=1e-10)
        for name, value in weights_of(stack, place).items():
            torch.testing.assert_close(value, weights_of(learner, 0)[name], rtol=1e-9, atol=1e-9)


def test_stacking_leaves_fixed_weights_fixed():
    config = NETWORKS["baseline"]
    stack = LearnerStack([Learner(config, PEOPLE, seed).double() for seed in (0, 1)])
    batches = [batch_of(config, seed) for seed in (0, 1)]
    train(stack, OptimiserConfig(learning_rate=1.0), [stacked(batches)] * 2)
    assert torch.equal(
        weights_of(stack, 1)["network.recurrence.weight_ih_l0"], torch.eye(128).double()
    )


def test_initial_weights_follow_from_the_seed_alone():
    before = torch.random.get_rng_state()
    first, again, other = (Learner(Config(), PEOPLE, seed) for seed in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.network.projection.weight, again.network.projection.weight)
    assert not torch.equal(first.network.projection.weight, other.network.projection.weight)


def test_dropout_keeps_the_expected_value():
    masks = draw_masks(NetworkConfig(), 8, 16, 2560, torch.Generator().manual_seed(0))
    for mask in masks:
        assert mask.mean().item() == pytest.approx(1, abs=0.05)
        assert mask.unique().tolist() == pytest.approx([0, 2.5])


def test_loss_is_of_the_chosen_feature():
    batch = batch_of(NETWORKS["no dropout"], 0)
    losses = {
        feature: Learner(
            Config.from_mapping(
                {"network": {"dropout": 0, "recurrent_dropout": 0}, "loss": {"feature": feature}},
                "test",
            ),
            PEOPLE,
            seed=0,
        ).double()
        for feature in ("spatial", "temporal", "fused")
    }
    for feature, learner in losses.items():
        values = getattr(learner.network(batch[0]), feature)
        scores = torch.log_softmax(learner.classifier(values), dim=1)
        expected = -scores.gather(1, batch[1].reshape(-1, 1)).reshape(2, PAIRS).sum(0).mean()
        torch.testing.assert_close(learner(*batch).softmax, expected)
