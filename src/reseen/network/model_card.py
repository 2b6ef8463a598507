"""MODEL_CARD.md: what a run is, for whoever is given no more than its folder or file.

The headings follow Mitchell et al., Model Cards for Model Reporting (2019).
"""

from pathlib import Path

from reseen.data.coding import FRAME_SHAPE
from reseen.files import write_text
from reseen.network.checkpoint import Run
from reseen.network.embed import final_kind
from reseen.network.model import FEATURE

CARD_FILE = "MODEL_CARD.md"

_CARD = """\
# Model card

A network that embeds tracklets (the crops of one person in one camera), so that those of the same
person lie near each other. Made with reseen.

## Model

| | |
|---|---|
| weights | `{identity}` |
| network | spatial-temporal fusion, Chen et al. (CVPR Workshops 2017), over {trunk} |
| body parts | {parts} |
| gives | the feature `{kind}`, {width} numbers, compared by Euclidean distance |
| looks at | clips of {frames} crops |
| versions | {versions} |

## Training data

| | |
|---|---|
| data set | `{dataset}`, trial {trial} |
| people | {people} trained on, {held_out} more for the weights of the body parts |
| store | `{store}`, flow {flow} |
| seed | {seed} |

## Scores

{scores}

## Intended use

To suggest to a human which tracklets may show the same person: where the people concerned have
agreed, or where a law allows exactly this use. A match is a suggestion, rank 1 is often wrong, and
a human must look before anything follows from it.

Not to decide anything about anybody, and not to identify people who do not know of it.

## Limits

- It knows people by their clothes and walk: who changes clothes is another person to it.
- On other cameras and people than those it was trained on it is worse, often by far. Measure there.
- Scores on synthetic people say nothing about real ones.
- How its errors are shared out among groups of people has not been measured.
- A distance is no probability before `reseen calibrate` has fitted one.

## Licence

The program is under the MIT licence. Weights are bound as well by the terms of the pictures that
they were trained on, which this card cannot know.

## Settings

```toml
{settings}```
"""


def model_card(run: Run, scores: str = "Not scored yet: `reseen evaluate RUN STORE`.") -> str:
    """The card of a finished run, as Markdown.

    Args:
        scores: what is known of its quality, as Markdown.
    """
    facts = run.facts
    pictures = facts.frame_shape == FRAME_SHAPE
    return _CARD.format(
        identity=run.identity,
        trunk="the paper's CNN" if pictures else "what a frozen network makes of each crop",
        parts=", ".join(facts.parts),
        kind=final_kind(run),
        width=FEATURE,
        frames=run.config.clips.frames,
        versions=", ".join(f"{name} {value}" for name, value in facts.versions.items()),
        dataset=facts.dataset,
        trial=facts.trial,
        people=len(facts.people),
        held_out=len(facts.held_out),
        store=facts.store,
        flow=facts.flow,
        seed=facts.seed,
        scores=scores,
        settings=run.config.to_toml(),
    )


def keep_model_card(run: Run, folder: Path) -> None:
    """Write a run's card into a folder: with its scores, where the run has a card of these weights.

    A card that is right already stays as it is.
    """
    own = run.path / CARD_FILE
    known = own.read_text("utf-8", errors="replace") if own.is_file() else ""
    current = f"| weights | `{run.identity}` |" in known
    if not (current and folder.samefile(run.path)):
        write_text(folder / CARD_FILE, known if current else model_card(run))
