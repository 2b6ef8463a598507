"""What a gallery needs from time to time as it grows: by hand, or while cameras fill it."""

from reseen.errors import ReseenError, many
from reseen.gallery.adapting import calibrate_anew, keep_up
from reseen.gallery.extractors import Extractor, NetworkExtractor, open_extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.identities import Identities
from reseen.gallery.settings import base_of
from reseen.models.catalogue import best_trunk


def extractor_of(gallery: Gallery, model: str | None, style: str | None = None) -> Extractor:
    """The extractor that is named, else the gallery's own, else the best that is here."""
    own = gallery.model() if model is None and gallery.models() else None
    try:
        return open_extractor(base_of(model or own or best_trunk()), style)
    except ReseenError as error:
        if own is None:
            raise
        raise ReseenError(f"name what made the gallery's embeddings, --model: {error}") from error


def caught_up(gallery: Gallery, extractor: Extractor, *, adapt: bool = True) -> list[str]:
    """Adapt what was added, and let it join the people; what to say about it."""
    notes = []
    if adapt and isinstance(extractor, NetworkExtractor):
        try:
            adaptation = keep_up(gallery, extractor)
            if adaptation:
                notes.append(f"searches take the adapted {adaptation.model}")
                notes += filter(None, [calibrate_anew(gallery, adaptation)])
        except ReseenError as error:
            notes.append(f"not adapted: {error}")
    if not gallery.members.count():
        return notes
    try:
        joined = Identities(gallery).catch_up()
    except ReseenError as error:
        return [*notes, f"the new tracklets belong to nobody yet: {error}"]
    if not joined:
        return notes
    alone = sum(member.probability is None for member in joined)
    tracklets, lonely = many(len(joined), "tracklet"), "is" if alone == 1 else "are"
    looked = f"looked at {tracklets} to see who is new: {alone:,} of them {lonely} alone"
    return [*notes, looked]


def tend(gallery: Gallery, extractor: Extractor) -> list[str]:
    """Merge files, forget what is beyond its time, adapt and group; what to say about it."""
    gallery.optimise()
    gallery.forgetting.expire()
    gallery.forgetting.wipe_when_due()
    return [*filter(None, [gallery.forgetting.doubt]), *caught_up(gallery, extractor)]
