"""The commands about a gallery: fill, list, clean, search, calibrate."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from reseen.cli.options import (
    Camera,
    Dataset,
    DatasetRoot,
    Extractor,
    GalleryPlace,
    Json,
    Since,
    Until,
    save_result,
    within,
)
from reseen.errors import ReseenError
from reseen.progress import make_table, print_notes, print_table, progress
from reseen.times import show

if TYPE_CHECKING:
    from reseen.gallery import extractors
    from reseen.gallery.gallery import Gallery
    from reseen.gallery.records import Entry, Match, Query

gallery_app = App(name="gallery", help="Fill, look at and clean a gallery of tracklets.")

Box = Annotated[tuple[int, int, int, int] | None, Parameter(negative="")]
Days = Annotated[float | None, within(0, above=True)]


@gallery_app.command
def add(
    gallery: GalleryPlace,
    folder: Path,
    *,
    model: Extractor = "stripes",
    camera: str | None = None,
    heads: bool = False,
    keep_days: Days = None,
    json: Json = None,
) -> None:
    """Add the tracklets of a folder; what is there already is not added twice.

    Args:
        folder: What `reseen track` made, or ROOT/PERSON/CAMERA or ROOT/PERSON/CAMERA/TRACKLET of
            pictures.
        camera: The view's name, where the folder does not tell.
        heads: Store thumbnails with heads as they are; they are pixelated otherwise.
        keep_days: Forget these tracklets after so many days.
    """
    import time

    from reseen.data.tracked import tracklets_in
    from reseen.gallery.extractors import open_extractor
    from reseen.gallery.gallery import Gallery

    tracklets = tracklets_in(folder, camera)
    keep_until = None if keep_days is None else time.time() + keep_days * 86_400
    opened = Gallery.open(gallery, create=True)
    with progress("adding", len(tracklets), "tracklets") as advance:
        added = opened.add(
            tracklets,
            open_extractor(model),
            pixelate_heads=not heads,
            keep_until=keep_until,
            advance=advance,
        )
    save_result(json, added)
    print(f"{gallery}: {added.added:,} added, {added.present:,} were there before")
    print_notes(added.left_out)
    if undated := opened.stats().undated:
        print_notes(
            [
                f"the gallery mixes recordings with and without a date: {undated:,} tracklets have "
                "none and are left out wherever a time is asked for; see reseen track --start"
            ]
        )


@gallery_app.command(name="list")
def list_(
    gallery: GalleryPlace,
    *,
    model: str | None = None,
    camera: Camera = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, within(1)] = 50,
    json: Json = None,
) -> None:
    """List tracklets by time.

    Args:
        model: Whose features; needed only where there are several models.
        limit: How many at most.
    """
    from reseen.gallery.gallery import Gallery
    from reseen.gallery.records import Filter

    opened = Gallery.open(gallery)
    chosen, where = opened.model(model), Filter((), camera, None, since, until)
    entries = opened.entries(chosen, where, limit=limit)
    save_result(json, [asdict(entry) for entry in entries])
    rows = [(entry.id, entry.camera, show(entry.start), f"{entry.frames:,}") for entry in entries]
    count = opened.count(chosen, where)
    title = f"{len(rows):,} of {count:,} tracklets, model {chosen}"
    print_table(make_table(title, ("tracklet", "camera", "from", "frames"), rows))


@gallery_app.command
def stats(gallery: GalleryPlace, *, json: Json = None) -> None:
    """Count what a gallery holds."""
    from reseen.gallery.gallery import Gallery

    found = Gallery.open(gallery).stats()
    save_result(json, found)
    kept = "for ever" if found.retention_days is None else f"{found.retention_days:g} days"
    rows = [
        *((f"model {name}", f"{count:,}") for name, count in found.models.items()),
        *((f"camera {name}", f"{count:,}") for name, count in found.cameras.items()),
        ("first seen", show(found.start)),
        ("last seen", show(found.end)),
        *([("without a date", f"{found.undated:,}")] if found.undated else []),
        ("megabytes", f"{found.size / 1e6:,.1f}"),
        ("kept", kept),
    ]
    print_table(make_table(gallery, ("", ""), rows))


@gallery_app.command
def forget(
    gallery: GalleryPlace,
    *,
    ids: tuple[str, ...] = (),
    camera: Camera = None,
    since: Since = None,
    until: Until = None,
    like: str | None = None,
    distance: Annotated[float | None, within(0)] = None,
    model: str | None = None,
) -> None:
    """Remove tracklets, and their data from the disk.

    Args:
        ids: These tracklets.
        like: All that look like this tracklet, itself included, up to --distance.
        distance: How far from --like; look at a search first.
        model: Whose features --like compares.
    """
    from reseen.gallery.gallery import Gallery
    from reseen.gallery.records import Filter

    opened = Gallery.open(gallery)
    where = Filter(ids, camera, None, since, until)
    if like is not None:
        if distance is None:
            raise ReseenError("--like needs --distance; a search shows which distances are near")
        query = opened.query(like, opened.model(model))
        alike = [match.entry.id for match in opened.alike(query, distance, where)]
        where = Filter((like, *alike))
    gone = opened.forget(where)
    print(f"{gallery}: {len(gone):,} tracklets forgotten")


@gallery_app.command
def keep(gallery: GalleryPlace, days: Days = None) -> None:
    """Set for how many days tracklets are kept; without a number, for ever.

    Args:
        days: Days after which a tracklet is forgotten.
    """
    from reseen.gallery.gallery import Gallery

    opened = Gallery.open(gallery)
    opened.notes.set_retention_days(days)
    gone = opened.expire()
    kept = "for ever" if days is None else f"for {days:g} days"
    print(f"{gallery}: tracklets are kept {kept}; {len(gone):,} forgotten now")


def search(
    gallery: GalleryPlace,
    tracklet: str | None = None,
    *,
    crops: Path | None = None,
    video: Path | None = None,
    at: Annotated[float, within(0)] = 0.0,
    box: Box = None,
    model: str | None = None,
    camera: Camera = None,
    not_camera: str | None = None,
    since: Since = None,
    until: Until = None,
    count: Annotated[int, within(1)] = 20,
    json: Json = None,
    sheet: Path | None = None,
) -> None:
    """Find the tracklets that look most like a person.

    Args:
        tracklet: One of its tracklets.
        crops: Or a folder with pictures of the person.
        video: Or a video, with --at and --box.
        at: Second of the video.
        box: Left, top, width and height of the person in it, in pixels.
        model: Run folder or stripes; for a tracklet, the model's id where there are several.
        not_camera: Every camera but this one.
        count: How many matches.
        sheet: PNG file for the query and its matches, side by side.
    """
    from reseen.gallery.contact_sheet import contact_sheet
    from reseen.gallery.gallery import Gallery
    from reseen.gallery.records import Filter

    opened = Gallery.open(gallery)
    where = Filter((), camera, not_camera, since, until)
    query, strip = _query(opened, tracklet, crops, video, at, box, model)
    matches = opened.search(query, count, where)
    save_result(json, [_document(match) for match in matches])
    if sheet is not None:
        thumbnails = opened.thumbnails([match.entry.id for match in matches])
        contact_sheet(query, strip, matches, thumbnails, sheet)
        print(sheet)
    print_table(
        make_table(f"{query.name}, model {query.model}", MATCH_COLUMNS, map(_match_row, matches))
    )
    if any(match.chance is None for match in matches):
        print_notes(["no chances are given: this model has no calibration; see reseen calibrate"])


MATCH_COLUMNS = ("tracklet", "distance", "chance", "stripes", "camera", "from")


def calibrate(
    gallery: GalleryPlace,
    *,
    model: Extractor = "stripes",
    dataset: Dataset = "folder",
    root: DatasetRoot,
    prior: Annotated[float | None, within(0, 1)] = None,
    json: Json = None,
) -> None:
    """Fit the chance of being the same person, for one model.

    The data set must show people whom the model was not trained on.

    Args:
        prior: Share of same-person pairs where the chances will be used; by default that of the
            data.
    """
    from reseen.data.datasets import load
    from reseen.gallery.calibration import calibrate
    from reseen.gallery.extractors import embed_benchmark, open_extractor
    from reseen.gallery.gallery import Gallery

    opened, extractor = Gallery.open(gallery, create=True), open_extractor(model)
    embeddings = embed_benchmark(load(dataset, root).tracklets, extractor)
    fitted = calibrate(embeddings, extractor.model_id, prior)
    opened.notes.keep_calibration(fitted)
    save_result(json, fitted)
    rows = [tuple(f"{value:.3f}" for value in asdict(rates).values()) for rates in fitted.rates]
    title = (
        f"{extractor.model_id}: {fitted.people} people, {fitted.same_pairs:,} pairs of one person, "
        f"{fitted.different_pairs:,} of two; equal error rate {fitted.equal_error_rate:.3f}"
    )
    columns = [name.replace("_", " ") for name in asdict(fitted.rates[0])]
    print_table(make_table(title, columns, rows))
    if fitted.held_out is None:
        print_notes(["too few people to check the chances on others"])
    else:
        print(", ".join(f"{key} {value}" for key, value in asdict(fitted.held_out).items()))


def _query(
    gallery: "Gallery",
    tracklet: str | None,
    crops: Path | None,
    video: Path | None,
    at: float,
    box: tuple[int, int, int, int] | None,
    model: str | None,
) -> "tuple[Query, bytes | None]":
    """Who is searched for, and their thumbnail."""
    from reseen.gallery.query import Box, pictures_in, pictures_in_video, query_from_pictures
    from reseen.gallery.thumbnail import make_thumbnail

    if [tracklet, crops, video].count(None) != 2:
        raise ReseenError("name one of: a tracklet, --crops FOLDER, or --video FILE with --box")
    if tracklet is not None:
        chosen = gallery.model(model)
        return gallery.query(tracklet, chosen), gallery.thumbnails([tracklet]).get(tracklet)
    extractor = _extractor(gallery, model)
    if crops is not None:
        pictures = list(pictures_in(crops))
    elif video is not None and box is not None:
        pictures = pictures_in_video(video, at, Box(*box))
    else:
        raise ReseenError("--video needs --box LEFT TOP WIDTH HEIGHT")
    name = str(crops or video)
    strip = make_thumbnail(pictures, pixelate_heads=True)
    return query_from_pictures(pictures, extractor, name), strip


def _extractor(gallery: "Gallery", model: str | None) -> "extractors.Extractor":
    """The extractor of pictures from outside the gallery, whose features it must hold."""
    from reseen.gallery.extractors import open_extractor

    if model is None and gallery.model() != "stripes":
        raise ReseenError(f"name the run that made the features, --model RUN ({gallery.model()})")
    extractor = open_extractor(model or "stripes")
    gallery.model(extractor.model_id)
    return extractor


def _match_row(match: "Match") -> tuple[str, ...]:
    entry: Entry = match.entry
    return (
        entry.id,
        f"{match.distance:.3f}",
        "-" if match.chance is None else f"{match.chance:.0%}",
        "-" if match.stripes_distance is None else f"{match.stripes_distance:.3f}",
        entry.camera,
        show(entry.start),
    )


def _document(match: "Match") -> dict[str, object]:
    scores = {
        "distance": match.distance,
        "stripes_distance": match.stripes_distance,
        "chance": match.chance,
    }
    return {**asdict(match.entry), **scores}
