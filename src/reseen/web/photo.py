"""Search by pictures that somebody sends: cut out already, or a whole photo to pick somebody from.

No picture is kept. A photo travels with its page, and comes back with the box that was picked.
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import cv2
from anyio import to_thread
from fastapi import APIRouter, Depends, File, Form, HTTPException, UploadFile
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from reseen.data.pictures import Picture, data_uri, decode_picture, encode_jpeg
from reseen.gallery.query import LEAST_SIDE, Box
from reseen.gallery.records import EVERYTHING
from reseen.tracking.detections import SURE_SCORE, Detector
from reseen.web.asked import (
    FEW,
    MOST_AT_ONCE,
    MOST_PICTURES,
    MOST_PIXELS_OF_PHOTO,
    FormModel,
    FormProbability,
    Sent,
    check_header,
    is_form,
)
from reseen.web.lookup import Found, Looked, Lookup, refused
from reseen.web.pages import AT_LEAST, groups
from reseen.web.rendering import render

LONGEST_SIDE = 1_280
"""Pixels of the photo that a page shows and people are looked for in; larger ones are shrunk."""

MOST_PACKED = 700_000
"""Bytes of that photo as a JPEG: a field of a form holds 2^20, and base64 takes a third more."""

QUALITIES = (88, 70, 40, 10)
LONGEST_PHOTO, LONGEST_BOX, MOST_PEOPLE = 2**20, 40, 100
SMALL = 96
"""Pixels to which the small pictures of people are shrunk."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

BoxText = Annotated[str, Form(max_length=LONGEST_BOX)]


@dataclass(frozen=True)
class Photo:
    """A photo on its way.

    Attributes:
        packed: as a JPEG, in base64.
        boxes: of the people found in it.
        picked: the one searched for.
    """

    picture: Picture
    packed: str
    boxes: list[Box]
    picked: Box | None = None

    def small(self, box: Box) -> str:
        """What is inside a box as a small picture in an address."""
        cut = box.cut(self.picture)
        return data_uri(encode_jpeg(_scaled(cut, min(SMALL / max(cut.shape[:2]), 1.0)), 80))


@router.get("/pictures")
def pictures(lookup: Looked) -> Response:
    """A form to search by pictures."""
    return _page(lookup)


@router.post("/pictures", dependencies=[Depends(is_form)])
async def search_by_pictures(
    lookup: Looked,
    pictures: Sent,
    model: FormModel,
    k: Annotated[int, Form(ge=1, le=MOST_AT_ONCE)] = FEW,
    at_least: FormProbability = 0.0,
) -> Response:
    """Matches of a person in pictures."""
    found = await lookup.alone(lookup.matches_of, pictures, model, EVERYTHING, k)
    return await to_thread.run_sync(_page, lookup, found, at_least)


@router.post("/photo", dependencies=[Depends(is_form)])
async def find_people(lookup: Looked, photo: Annotated[UploadFile, File()]) -> Response:
    """Who is in a photo or a frame of a video; 422 where nobody is found."""
    content, name = await photo.read(), photo.filename or "the photo"
    check_header(content, name, MOST_PIXELS_OF_PHOTO)
    opened = await lookup.alone(_opened, content, name, lookup.detector)
    return await to_thread.run_sync(_page, lookup, None, 0.0, opened)


@router.post("/photo/person", dependencies=[Depends(is_form)])
async def search_in_photo(
    lookup: Looked,
    photo: Annotated[str, Form(max_length=LONGEST_PHOTO)],
    model: FormModel,
    boxes: Annotated[list[BoxText], Form(max_length=MOST_PEOPLE)] = [],  # noqa: B006
    box: BoxText = "",
    drawn: BoxText = "",
    at_least: FormProbability = 0.0,
) -> Response:
    """Matches of whoever is in a box of the photo."""
    picture = await lookup.alone(_unpacked, photo)
    picked = _box(box or drawn, picture)
    cut = [picked.cut(picture)]
    found = await lookup.alone(lookup.matches_of, cut, model, EVERYTHING, FEW)
    back = Photo(picture, photo, [_box(text, picture) for text in boxes], picked)
    return await to_thread.run_sync(_page, lookup, found, at_least, back)


def _page(
    lookup: Lookup, found: Found | None = None, at_least: float = 0.0, photo: Photo | None = None
) -> Response:
    models = lookup.embeddable()
    nobody = photo is not None and photo.picked is None and not photo.boxes
    return render(
        "pictures.html",
        422 if nobody else 200,
        models=models,
        calibrated=any(map(lookup.gallery.settings.calibration, models)),
        found=found,
        groups=groups(found, {}, at_least) if found else {},
        most=MOST_PICTURES,
        photo=photo,
        choices=AT_LEAST,
        at_least=at_least,
    )


def _opened(content: bytes, name: str, detector: Detector) -> Photo:
    picture = _decoded(content, name)
    scale = LONGEST_SIDE / max(picture.shape[:2])
    if scale < 1:
        picture = _scaled(picture, scale)
    packed = next(
        (jpeg for each in QUALITIES if len(jpeg := encode_jpeg(picture, each)) <= MOST_PACKED), None
    )
    if packed is None:
        raise HTTPException(413, f"{name} holds too much detail; make it smaller.")
    return Photo(picture, b64encode(packed).decode(), _people(picture, detector))


def _people(picture: Picture, detector: Detector) -> list[Box]:
    """Boxes of the people in a picture, from left to right."""
    found = detector(picture)
    height, width = picture.shape[:2]
    sure = found.boxes[found.scores >= SURE_SCORE].clip(0, (width, height, width, height))
    sides = [(left, top, right - left, bottom - top) for left, top, right, bottom in sure.tolist()]
    boxes = [Box(*map(int, side)) for side in sides if min(side[2:]) >= LEAST_SIDE + 1]
    return sorted(boxes, key=lambda box: (box.left, box.top))[:MOST_PEOPLE]


def _unpacked(photo: str) -> Picture:
    try:
        content = b64decode(photo, validate=True)
    except (NotBase64, ValueError) as error:
        raise HTTPException(400, "The photo did not come back whole; send it again.") from error
    check_header(content, "the photo")
    return _decoded(content, "the photo")


def _decoded(content: bytes, name: str) -> Picture:
    with refused():
        return decode_picture(content, name)


def _box(text: str, picture: Picture) -> Box:
    """The box that a page has sent: left,top,width,height in pixels."""
    try:
        box = Box(*map(int, text.split(",")))
    except (TypeError, ValueError) as error:
        raise HTTPException(
            422, "Pick somebody, or name a box as left,top,width,height in pixels."
        ) from error
    if not box.lies_in(picture):
        height, width = picture.shape[:2]
        raise HTTPException(
            422,
            f"The box {text} must lie in the picture, {width} x {height} pixels, and be at least "
            f"{LEAST_SIDE} pixels wide and high.",
        )
    return box


def _scaled(picture: Picture, scale: float) -> Picture:
    size: Sequence[int] = [max(round(side * scale), 1) for side in picture.shape[1::-1]]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(picture.dtype)
