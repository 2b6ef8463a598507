"""What a request may ask and send: parameters with their bounds, and pictures.

Pictures are looked at with suspicion, decoded one at a time, and never kept.
"""

from io import BytesIO
from typing import Annotated, Literal

from fastapi import Depends, File, Form, HTTPException, Query, Request, UploadFile
from PIL import Image

from reseen.data.pictures import Pictures

LONGEST_ID, LONGEST_CAMERA, LONGEST_MODEL, LONGEST_NAME = 1_000, 200, 100, 100
MOST_AT_ONCE, MOST_PAGES = 200, 100_000
ON_A_PAGE = 50
FEW = 20
"""Matches where no other number is asked for."""

FORMATS = ("JPEG", "PNG")
MOST_PICTURES = 64
MOST_PIXELS = 4_000_000
"""In one picture: far more than a person cut out of a video has, and 12 MB when decoded."""

MOST_PIXELS_OF_PHOTO = 25_000_000
"""In a photo, of which only one is decoded at a time."""

MOST_BYTES = 16 * 2**20
"""In one request with pictures."""

Id = Annotated[str, Query(max_length=LONGEST_ID, description="A tracklet's id.")]
Identity = Annotated[str, Query(max_length=LONGEST_ID)]
Page = Annotated[int, Query(ge=1, le=MOST_PAGES)]
Skipped = Annotated[int, Query(ge=0, le=MOST_AT_ONCE)]

FormId = Annotated[str, Form(max_length=LONGEST_ID)]
FormModel = Annotated[str, Form(max_length=LONGEST_MODEL)]
FormProbability = Annotated[float, Form(ge=0, le=1)]
FormName = Annotated[str, Form(min_length=1, max_length=LONGEST_NAME)]
Same = Annotated[bool, Form()]

SAID = {"yes": True, "no": False, "nothing": None}
Said = Annotated[Literal["yes", "no", "nothing"], Form()]
"""What a button says of two tracklets; nothing takes a label back."""

Shown = Annotated[Literal["yes", "no", "nothing"] | None, Form()]
"""What the button's page showed as said."""


def paged(page: int, total: int) -> dict[str, int]:
    """What a page of many needs to know: its number, the last one's, and how many come before."""
    last = max(1, -(-total // ON_A_PAGE))
    return {"page": page, "pages": last, "before": (page - 1) * ON_A_PAGE}


def is_form(request: Request) -> None:
    """Refuse a request whose body is not a form with files: 415."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(415, "Send the pictures as multipart/form-data.")


async def read_pictures(
    pictures: Annotated[
        list[UploadFile],
        File(
            min_length=1,
            max_length=MOST_PICTURES,
            description="Pictures of one person, cut out of a video, in time order: JPEG or PNG.",
        ),
    ],
) -> Pictures:
    """The pictures of a request, each as `check_header` lets it through."""
    packed = [(await each.read(), each.filename or "a picture") for each in pictures]
    for content, name in packed:
        check_header(content, name)
    return Pictures(tuple(packed))


Sent = Annotated[Pictures, Depends(read_pictures)]


def check_header(content: bytes, name: str, most: int = MOST_PIXELS) -> None:
    """Refuse what is no picture (415), or would be huge when decoded (413), without decoding it."""
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as picture:
            pixels = picture.width * picture.height
    except Image.DecompressionBombError:
        pixels = most + 1
    except (OSError, ValueError, SyntaxError) as error:
        raise HTTPException(415, f"{name} is neither a JPEG nor a PNG picture.") from error
    if pixels > most:
        what = "cut the person out" if most == MOST_PIXELS else "make it smaller"
        raise HTTPException(413, f"{name} has more than {most:,} pixels; {what}.")
