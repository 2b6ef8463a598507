"""The commands about a gallery: fill, list, clean, search."""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from reseen.cli import options
from reseen.cli.options import save_result, within
from reseen.errors import ReseenError, many
from reseen.progress import make_table, plain, print_notes, print_table, progress
from reseen.times import show

if TYPE_CHECKING:
    from reseen.gallery import extractors
    from reseen.gallery.gallery import Gallery
    from reseen.gallery.records import Added, Match, Query

gallery_app = App(name="gallery", help="Fill, look at and clean a gallery of tracklets.")

Box = Annotated[tuple[int, int, int, int] | None, Parameter(negative="")]
Days = Annotated[float | None, within(0, above=True)]


@gallery_app.command
def add(
    gallery: options.GalleryPlace,
    folder: Path,
    *,
    model: options.Extractor = None,
    style: options.Style = None,
    camera: str | None = None,
    prefix: str = "",
    heads: bool = False,
    keep_days: Days = None,
    forgotten_too: bool = False,
    adapt: bool = True,
    json: options.Json = None,
) -> None:
    """Add the tracklets of a folder; what is there already is not added twice.

    Args:
        folder: What `reseen track` made, or ROOT/PERSON/CAMERA or ROOT/PERSON/CAMERA/TRACKLET of
            pictures.
        camera: The camera's name, where the folder does not tell.
        prefix: What all names in the gallery begin with, such as a site's name and a slash.
        heads: Store thumbnails with heads as they are; they are pixelated otherwise.
        keep_days: Forget these tracklets after so many days.
        forgotten_too: Take in again what was forgotten.
        adapt: Adapt embeddings to the gallery as `gallery adapt` does: those of lite0, and of
            what was adapted before.
    """
    from reseen.data.tracked import tracklets_in
    from reseen.gallery.upkeep import caught_up

    tracklets = [replace(each, id=prefix + each.id) for each in tracklets_in(folder, camera)]
    keep_until = None if keep_days is None else time.time() + keep_days * 86_400
    opened = open_gallery(gallery, create=True)
    extractors = extractors_for(opened, model, style)
    with progress("adding", len(tracklets), "tracklets") as advance:
        added = opened.add(
            tracklets,
            extractors,
            pixelate_heads=not heads,
            keep_until=keep_until,
            forgotten_too=forgotten_too,
            advance=advance,
        )
    save_about(opened, json, added, added.renamed.values())
    print(f"{gallery}: {added.added:,} added, {added.present:,} were there before")
    print_notes(*caught_up(opened, extractors[0], adapt=adapt), *added.left_out)
    print_notes(*_notes_on(added, opened.stats().undated))


def _notes_on(added: "Added", undated: int) -> Iterator[str]:
    """What the user should know after tracklets were added, of which so many have no date."""
    if added.forgotten:
        yield f"{added.forgotten:,} left out because they were forgotten; see --forgotten-too"
    for old, new in islice(added.renamed.items(), 1):
        yield (
            f"{len(added.renamed):,} had the names of other tracklets, so {old} is called "
            f"{new}; --prefix gives a site's tracklets names of their own"
        )
    if undated:
        yield (
            f"the gallery mixes recordings with and without a date: {undated:,} tracklets have "
            "none and are left out wherever a time is asked for; see reseen track --start"
        )


@gallery_app.command
def adapt(
    gallery: options.GalleryPlace,
    *,
    model: options.Extractor = None,
    style: options.Style = None,
    self_train: bool = False,
) -> None:
    """Adapt the embeddings to the gallery's own cameras.

    Each camera's mean is taken off; of lite0, what varies within tracklets counts less, too; of all
    networks, what differs within pairs that people labelled as one person, from ten on. Searches
    take the newest adaptation unless --model names another; `add` adapts what comes later.

    Args:
        self_train: Take the surer half of mutual nearest pairs across cameras for one person each,
            too. Helps only where cameras mostly see the same people.
    """
    from reseen.gallery import adapting
    from reseen.gallery.extractors import NetworkExtractor

    opened = open_gallery(gallery)
    extractor = chosen_extractor(opened, model, style, adapted=False)
    if not isinstance(extractor, NetworkExtractor):
        raise ReseenError(
            f"only networks over single crops can be adapted, not {extractor.model_id}"
        )
    made = adapting.adapt(opened, extractor, self_train=self_train)
    learned = f"means of {many(len(made.means.own), 'camera')}"
    if made.lacks_crops:
        print_notes("nothing was learned of what varies within tracklets: their crops are gone")
    if made.whitening is not None:
        learned += f", whitened to {made.whitening.matrix.shape[1]} numbers"
    if made.labelled:
        learned += f", {many(made.labelled, 'labelled pair')}"
    embeddings = many(opened.count(model=made.model), "embedding")
    print(f"{gallery}: {embeddings} adapted, {made.model}; {learned}")
    print_notes(*filter(None, [adapting.calibrate_anew(opened, made)]))


@gallery_app.command(name="list")
def list_(
    gallery: options.GalleryPlace,
    *,
    model: str | None = None,
    camera: options.Camera = None,
    since: options.Since = None,
    until: options.Until = None,
    limit: Annotated[int, within(1)] = 50,
    json: options.Json = None,
) -> None:
    """List tracklets by time.

    Args:
        model: Only those that have an embedding by this model.
        limit: How many at most.
    """
    from reseen.gallery.records import Filter

    opened = open_gallery(gallery)
    where = Filter((), camera, None, since, until)
    opened.require(where)
    chosen = None if model is None else opened.model(model)
    entries = opened.entries(where, chosen, limit=limit)
    save_about(opened, json, [asdict(entry) for entry in entries], [each.id for each in entries])
    rows = [(entry.id, entry.camera, show(entry.start), f"{entry.frames:,}") for entry in entries]
    title = f"{len(rows):,} of {opened.count(where, chosen):,} tracklets"
    print_table(make_table(title, ("tracklet", "camera", "from", "frames"), rows))


@gallery_app.command
def stats(gallery: options.GalleryPlace, *, json: options.Json = None) -> None:
    """Count what a gallery holds."""
    opened = open_gallery(gallery)
    found = opened.stats()
    save_result(json, found)
    rows = [
        ("tracklets", f"{found.tracklets:,}"),
        *((f"model {name}", f"{count:,}") for name, count in found.models.items()),
        *((f"camera {name}", f"{count:,}") for name, count in found.cameras.items()),
        ("first seen", show(found.start)),
        ("last seen", show(found.end)),
        *([("labelled as not a person", f"{found.rejected:,}")] if found.rejected else []),
        *([("without a date", f"{found.undated:,}")] if found.undated else []),
        ("megabytes", f"{found.size / 1e6:,.1f}"),
        ("kept", _for_days(found.retention_days)),
        ("calibrated", ", ".join(found.calibrated) or "no model"),
    ]
    if waits := found.waiting:
        which = f"{many(waits.tracklets, 'tracklet')}, forgotten since {show(waits.since)}"
        rows.append(("still to be wiped from the disk", which))
    print_table(make_table(gallery, ("", ""), rows))
    print_notes(*_left_about(opened.exports.clear(telling=True)))


@gallery_app.command
def forget(
    gallery: options.GalleryPlace,
    *,
    ids: tuple[str, ...] = (),
    camera: options.Camera = None,
    since: options.Since = None,
    until: options.Until = None,
    like: str | None = None,
    distance: Annotated[float | None, within(0)] = None,
    model: str | None = None,
    now: bool = False,
    crops: bool = False,
) -> None:
    """Remove tracklets, and their data from the disk.

    Nobody finds them any more when this ends. In a large gallery their bytes leave the disk within
    ten minutes, when it is open or opened; `gallery stats` says what still waits.

    Args:
        ids: These tracklets.
        like: All that look like this tracklet, itself included, up to --distance.
        distance: How far from --like; look at a search first.
        model: Whose embeddings --like compares.
        now: Wipe the bytes of all that was forgotten from the disk before this ends.
        crops: Delete what `reseen track` or `ingest` wrote of them, too, and the files of --json,
            --sheet and --preview that tell of them.
    """
    from reseen.gallery.records import Filter

    opened = open_gallery(gallery)
    if now and not ids and {camera, since, until, like} == {None}:
        opened.forgetting.wipe()
        print(f"{gallery}: nothing waits to be wiped from the disk")
        return
    where = Filter(ids, camera, None, since, until)
    opened.require(where)
    if like is not None:
        if distance is None:
            raise ReseenError("--like needs --distance; a search shows which distances are near")
        query = opened.query(like, opened.model(model))
        alike = [match.entry.id for match in opened.alike(query, distance, where)]
        where = Filter((like, *alike))
    folders = [entry.crops for entry in opened.entries(where) if entry.crops is not None]
    gone = opened.forget(where, at_once=now)
    print(f"{gallery}: {many(len(gone), 'tracklet')} forgotten")
    failed = _clear(map(Path, folders), crops)
    print_notes(*_left_about(opened.exports.clear(elsewhere=crops, telling=True)))
    if opened.forgetting.waiting() is not None:
        print_notes(
            "their bytes leave the disk within ten minutes, when the gallery is open or "
            "opened; --now does it at once"
        )
    if failed:
        raise ReseenError(f"all of them are forgotten, but crops are left: {'; '.join(failed)}")


def _clear(folders: Iterable[Path], crops: bool) -> list[str]:
    """Delete crops of the forgotten, if wanted; returns why some could not be."""
    from reseen.gallery.exports import delete_crops

    failed = dict[str, None]()
    for folder in folders:
        try:
            deleted = crops and delete_crops(folder)
        except ReseenError as error:
            failed[str(error)] = None
        else:
            if not deleted and folder.exists():
                print_notes(f"crops of the forgotten are left in {folder}")
    return list(failed)


def _left_about(files: Sequence[str]) -> list[str]:
    return [f"{file} tells of the forgotten; delete it" for file in files]


@gallery_app.command
def sweep(gallery: options.GalleryPlace) -> None:
    """Delete the files that killed writers left, which no search finds; each is named."""
    gone = open_gallery(gallery).forgetting.sweep()
    for path in gone:
        print(plain(str(path)))
    print(f"{gallery}: deleted {many(len(gone), 'file')} that killed writers left")


@gallery_app.command
def failures(gallery: options.GalleryPlace, *, json: options.Json = None) -> None:
    """List the videos that `ingest` could not take in, and why.

    They are tried again when they are ingested again, and leave this list once they are in.
    """
    found = open_gallery(gallery).videos.failures.all()
    save_result(json, [asdict(failure) for failure in found])
    rows = [
        (each.source, each.camera, show(each.time), each.error.removeprefix(f"{each.source} "))
        for each in found
    ]
    print_table(make_table(f"failures: {len(rows):,}", ("video", "camera", "at", "why"), rows))


@gallery_app.command
def keep(gallery: options.GalleryPlace, days: Days = None) -> None:
    """Set for how many days tracklets are kept; without a number, for ever.

    Args:
        days: Days after the person was seen, or where that is not known after the tracklet was
            added, when it is forgotten.
    """
    opened = open_gallery(gallery)
    opened.settings.set_retention_days(days)
    gone = opened.forgetting.expire(time.time())
    print(f"{gallery}: tracklets are kept {_for_days(days)}; {len(gone):,} forgotten now")


@gallery_app.command
def keep_log(gallery: options.GalleryPlace, days: Days = None) -> None:
    """Set for how many days the log keeps what was done; without a number, for ever.

    Args:
        days: Days after which a line is dropped.
    """
    opened = open_gallery(gallery)
    opened.settings.set_log_days(days)
    opened.forgetting.expire()
    print(f"{gallery}: lines of the log are kept {_for_days(days)}")


@gallery_app.command
def tokens(
    gallery: options.GalleryPlace,
    *,
    new: str | None = None,
    role: Literal["look", "manage"] = "look",
    revoke: str | None = None,
    json: options.Json = None,
) -> None:
    """Make, list and revoke the tokens that let people in where the gallery is served.

    Args:
        new: Make a token and print it, this once; its name, such as whose it is.
        role: What the new token lets do: look at everything and change nothing, or manage.
        revoke: Let nobody in by the token of this name, from a second later on.
    """
    found = open_gallery(gallery).tokens
    if revoke is not None:
        found.revoke(revoke)
    if new is not None:
        print(found.new(new, role))
        print_notes("this is the token; nothing here can tell it again")
    kept = found.all()
    columns = ("name", "role", "made", "revoked")
    shown = [{name: getattr(token, name) for name in columns} for token in kept]
    save_result(json, shown)
    rows = [
        (each.name, each.role, show(each.made), show(each.revoked) if each.revoked else "")
        for each in kept
    ]
    print_table(make_table(f"tokens: {len(rows):,}", columns, rows))


def _for_days(days: float | None) -> str:
    return "for ever" if days is None else f"for {days:g} day{'s' * (days != 1)}"


@gallery_app.command
def upgrade(gallery: Path) -> None:
    """Convert a gallery of an earlier version, in its place; nothing is lost.

    Args:
        gallery: The gallery's folder.
    """
    from reseen.gallery.upgrade import upgrade

    print(f"{gallery}: {upgrade(gallery):,} tracklets converted")


def search(
    gallery: options.GalleryPlace,
    tracklet: str | None = None,
    *,
    crops: Path | None = None,
    video: Path | None = None,
    at: Annotated[float, within(0)] = 0.0,
    box: Box = None,
    model: str | None = None,
    camera: options.Camera = None,
    not_camera: str | None = None,
    since: options.Since = None,
    until: options.Until = None,
    count: Annotated[int, within(1)] = 20,
    at_least: Annotated[float, within(0, 1)] = 0.0,
    json: options.Json = None,
    sheet: Path | None = None,
) -> None:
    """Find the tracklets that look most like a person.

    Args:
        tracklet: One of its tracklets.
        crops: Or a folder with pictures of the person.
        video: Or a video, with --at and --box.
        at: Second of the video.
        box: Left, top, width and height of the person in it, in pixels.
        model: What embeds the pictures, where it isn't the gallery's own; for a tracklet, the
            model's id where there are several.
        not_camera: Every camera but this one.
        count: How many matches.
        at_least: Say "nobody here" where no match has this probability, and call others unlikely.
        sheet: PNG file for the query and its matches, side by side.
    """
    from reseen.gallery.contact_sheet import contact_sheet
    from reseen.gallery.records import Filter

    opened = open_gallery(gallery)
    where = Filter((), camera, not_camera, since, until)
    opened.require(where)
    if [tracklet, crops, video].count(None) != 2:
        raise ReseenError("name one of: a tracklet, --crops FOLDER, or --video FILE with --box")
    if tracklet is not None:
        query, asked = opened.query(tracklet, opened.model(model)), [tracklet]
        strip = opened.thumbnails(asked).get(tracklet)
    else:
        query, strip = _pictured(opened, model, crops, video, at, box)
        # They lie where `track` calls the folder as the tracklet.
        asked = [] if crops is None else [crops.resolve().name]
    matches = opened.search(query, count, where)
    found = [match.entry.id for match in matches]
    documents = [{**one.pop("entry"), **one} for one in map(asdict, matches)]
    save_about(opened, json, documents, [*asked, *found])
    if sheet is not None:
        contact_sheet(query, strip, matches, opened.thumbnails(found), sheet)
        opened.exports.keep(sheet, [*asked, *found])
        print(sheet)
    _print_matches(query, matches, at_least)


def _print_matches(query: "Query", matches: "Sequence[Match]", at_least: float) -> None:
    unsure = any(match.probability is None for match in matches)
    if at_least and unsure:
        raise ReseenError(
            f"--at-least needs probabilities, and {query.model} has no calibration; "
            "see reseen calibrate"
        )
    if at_least and not any((match.probability or 0) >= at_least for match in matches):
        print(f"nobody here: no match is the same person with a probability of {at_least:.0%}")
    beside = sorted({model for match in matches for model in match.beside})
    rows = []
    for match in matches:
        sure = "-" if match.probability is None else f"{match.probability:.0%}"
        rows.append(
            (
                match.entry.id,
                f"{match.distance:.3f}",
                sure if (match.probability or 0) >= at_least else f"{sure}, unlikely",
                *(f"{match.beside[one]:.3f}" if one in match.beside else "-" for one in beside),
                match.entry.camera,
                show(match.entry.start),
            )
        )
    columns = ("tracklet", "distance", "probability", *beside, "camera", "from")
    print_table(make_table(f"{query.name}, model {query.model}", columns, rows))
    if unsure:
        print_notes(
            "no probabilities are given: this model has no calibration; see reseen calibrate"
        )


def _pictured(
    gallery: "Gallery",
    model: str | None,
    crops: Path | None,
    video: Path | None,
    at: float,
    box: tuple[int, int, int, int] | None,
) -> "tuple[Query, bytes]":
    """Whoever is in pictures, and a strip of them."""
    from reseen.gallery.query import Box, pictures_in, pictures_in_video, query_from_pictures
    from reseen.gallery.thumbnail import make_thumbnail

    extractor = chosen_extractor(gallery, model)
    gallery.model(extractor.model_id)
    if crops is not None:
        pictures = list(pictures_in(crops))
    elif video is None or box is None:
        raise ReseenError("--video needs --box LEFT TOP WIDTH HEIGHT")
    else:
        pictures = pictures_in_video(video, at, Box(*box))
    query = query_from_pictures(pictures, extractor, str(crops or video))
    return query, make_thumbnail(pictures, pixelate_heads=True)


def extractors_for(
    gallery: "Gallery", model: str | None, style: str | None
) -> "list[extractors.Extractor]":
    """What embeds tracklets for a gallery: the extractor that is chosen, and colours beside it."""
    from reseen.data.colour_histogram import ColourHistogram

    both = (chosen_extractor(gallery, model, style, adapted=False), ColourHistogram())
    return list({each.model_id: each for each in both}.values())


def chosen_extractor(
    gallery: "Gallery", model: str | None, style: str | None = None, *, adapted: bool = True
) -> "extractors.Extractor":
    """The extractor that is named, else the gallery's own, else the best that is here.

    Where embeddings by it were adapted to the gallery, pictures' are adapted too, if wanted: as the
    newest version is, or as the one whose id is named; the network's own id takes none.
    """
    from reseen.gallery.adapting import Adaptation, AdaptedExtractor, latest
    from reseen.gallery.extractors import NetworkExtractor
    from reseen.gallery.upkeep import extractor_of

    extractor = extractor_of(gallery, model, style)
    if extractor.note:
        print_notes(extractor.note)
    if not adapted or not isinstance(extractor, NetworkExtractor):
        return extractor
    chosen = model or (gallery.model() if gallery.models() else "")
    by_id = chosen in gallery.models()
    adaptation = Adaptation.load(gallery, chosen) if by_id else latest(gallery, extractor.model_id)
    return extractor if adaptation is None else AdaptedExtractor(extractor, adaptation)


def save_about(gallery: "Gallery", file: Path | None, result: object, ids: Collection[str]) -> None:
    """Write as JSON what tells of tracklets, where a file is named, so that forgetting finds it."""
    save_result(file, result)
    if file is not None:
        gallery.exports.keep(file, ids)


def open_gallery(gallery: str, *, create: bool = False) -> "Gallery":
    """Open a gallery for a command."""
    from reseen.gallery.gallery import Gallery

    opened = Gallery.open(gallery, create=create)
    if not opened.writable:
        print_notes(f"{gallery} may only be read: searches are not logged, nor files about them")
    print_notes(*filter(None, [opened.forgetting.doubt]))
    return opened
