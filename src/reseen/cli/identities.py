"""The commands about who is who: identify, and what probabilities rest on."""

from collections import Counter
from dataclasses import asdict
from typing import Annotated

from reseen.cli import options
from reseen.cli.gallery import chosen_extractor, gallery_app, open_gallery, save_about
from reseen.cli.options import save_result, within
from reseen.errors import ReseenError
from reseen.progress import make_table, print_notes, print_table


def identify(
    gallery: options.GalleryPlace,
    *,
    model: str | None = None,
    travel: tuple[str, ...] = (),
    new: bool = False,
    json: options.Json = None,
) -> None:
    """Put the tracklets of a gallery together as people, over all cameras.

    It rests on the model's calibration, on labels, and on where nobody can be: twice at once in
    one camera, or faster in another than anybody walks. Who cannot be decided stays alone.

    Args:
        model: Whose embeddings are compared; needed only where there are several.
        travel: Shortest seconds between two cameras, as hall:yard:20; repeat it for several.
        new: Only let join who is new, instead of grouping everybody anew.
    """
    from reseen.gallery.identities import Identities

    opened = open_gallery(gallery)
    identities = Identities(opened, model, dict(_way(text) for text in travel))
    identities.catch_up() if new else identities.identify()
    members = opened.members.all()
    save_about(opened, json, [asdict(each) for each in members], [each.id for each in members])
    sizes = Counter(member.identity for member in members)
    cameras = {entry.id: entry.camera for entry in opened.entries(model=identities.model)}
    seen = {(member.identity, cameras[member.id]) for member in members if member.id in cameras}
    in_cameras = Counter(identity for identity, _ in seen)
    rows = [
        ("tracklets", f"{len(members):,}"),
        ("people", f"{len(sizes):,}"),
        ("of them seen in two cameras or more", f"{sum(n > 1 for n in in_cameras.values()):,}"),
        ("of them seen only once", f"{sum(n == 1 for n in sizes.values()):,}"),
    ]
    print_table(make_table(f"{gallery}, model {identities.model}", ("", ""), rows))


def _way(text: str) -> tuple[tuple[str, str], float]:
    """Two cameras and the seconds between them."""
    try:
        here, there, seconds = text.rsplit(":", 2)
        first, second = sorted((here, there))
        return (first, second), float(seconds)
    except ValueError as error:
        raise ReseenError(
            f"{text} is no way between two cameras; write it as hall:yard:20, in seconds"
        ) from error


def calibrate(
    gallery: options.GalleryPlace,
    *,
    model: options.Extractor = None,
    style: options.Style = None,
    dataset: options.Dataset = "folder",
    root: options.DatasetRoot | None = None,
    from_labels: bool = False,
    prior: Annotated[float | None, within(0, 1)] = None,
    json: options.Json = None,
) -> None:
    """Fit the probability of being the same person, for one model.

    Of a model that was adapted to the gallery, the newest version is calibrated. The data set must
    show people whom the model was not trained on. A fit that says no more of
    others than how rare the same person is will not be kept.

    Args:
        from_labels: Fit on the labels that people gave on the gallery's own pairs instead; --model
            is then a model's id in the gallery.
        prior: Share of same-person pairs where the probabilities will be used; by default that
            of the data.
    """
    from reseen.data.datasets import load
    from reseen.gallery.adapting import embed_benchmark
    from reseen.gallery.calibration import calibrate, calibrate_on_labels

    if from_labels == (root is not None):
        raise ReseenError("name either labelled people, --root FOLDER, or --from-labels")
    opened = open_gallery(gallery, create=not from_labels)
    if root is None:
        model_id = opened.model(model)
        fitted = calibrate_on_labels(opened.labelled_pairs(model_id), model_id)
    else:
        extractor = chosen_extractor(opened, model, style)
        embeddings = embed_benchmark(load(dataset, root).tracklets, extractor)
        fitted = calibrate(embeddings, extractor.model_id, prior)
    opened.settings.keep_calibration(fitted)
    save_result(json, fitted)
    rows = [tuple(f"{value:.3f}" for value in asdict(rates).values()) for rates in fitted.rates]
    whom = f"{fitted.people} people, " if fitted.people else ""
    title = (
        f"{fitted.model}: {whom}{fitted.same_pairs:,} pairs of one person, "
        f"{fitted.different_pairs:,} of two; equal error rate {fitted.equal_error_rate:.3f}"
    )
    names = ("distance", "probability", "false accept", "false reject")
    print_table(make_table(title, names, rows))
    if fitted.held_out is not None:
        checked = asdict(fitted.held_out).items()
        print(", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in checked))


@gallery_app.command
def calibrations(
    gallery: options.GalleryPlace, *, remove: str | None = None, json: options.Json = None
) -> None:
    """Show the calibrations that probabilities in this gallery rest on.

    Args:
        remove: Drop this model's calibration; its matches show no probabilities then.
    """
    opened = open_gallery(gallery)
    if remove is not None:
        opened.settings.drop_calibration(remove)
    found = opened.settings.calibrations()
    save_result(json, [asdict(each) for each in found])
    rows = [
        (
            each.model,
            f"{each.people:,}" if each.people else "labels",
            f"{each.same_pairs:,}",
            f"{each.different_pairs:,}",
            f"{each.prior:.4f}",
            f"{each.equal_error_rate:.3f}",
        )
        for each in found
    ]
    columns = ("model", "people", "same", "different", "prior", "equal error rate")
    print_table(make_table(gallery, columns, rows))
    if not found:
        print_notes("no model is calibrated here, so no match has a probability")
