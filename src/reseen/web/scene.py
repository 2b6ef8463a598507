"""Somebody in the whole pictures that were kept of a recording."""

import cv2
from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from reseen.data.pictures import data_uri, decode_picture, encode_jpeg
from reseen.data.tracklet import Moment
from reseen.times import show
from reseen.web.lookup import Looked, Named
from reseen.web.rendering import render

BLUE, QUALITY = (0, 98, 168), 85

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/scene")
def scene(lookup: Looked, entry: Named) -> Response:
    """A tracklet's kept pictures in time order, a box around the person."""
    kept = lookup.gallery.frames.kept(entry.id)
    begun = None if entry.start is None or not kept else entry.start - kept[0].seconds
    times = [show(None if begun is None else begun + each.seconds) for each in kept]
    pictures = [(time, data_uri(boxed(each))) for time, each in zip(times, kept, strict=True)]
    return render("scene.html", entry=entry, pictures=pictures)


def boxed(moment: Moment) -> bytes:
    """The whole picture as a JPEG with the box drawn into it."""
    picture = decode_picture(moment.picture, "a picture that was kept")
    height, width = picture.shape[:2]
    left, top, right, bottom = moment.box
    corners = (
        (round(left * width), round(top * height)),
        (round(right * width) - 1, round(bottom * height) - 1),
    )
    cv2.rectangle(picture, *corners, BLUE, 2)
    return encode_jpeg(picture, QUALITY)
