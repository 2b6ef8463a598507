"""Pictures that somebody sends: looked at with suspicion, decoded one at a time, never kept."""

from io import BytesIO
from typing import Annotated

from fastapi import Depends, File, HTTPException, Request, UploadFile
from PIL import Image

from reseen.data.pictures import Pictures

FORMATS = ("JPEG", "PNG")
MOST_PICTURES = 64
MOST_PIXELS = 4_000_000
"""In one picture: far more than a person cut out of a video has, and 12 MB when decoded."""

MOST_PIXELS_OF_PHOTO = 25_000_000
"""In a photo, of which only one is decoded at a time."""

MOST_BYTES = 16 * 2**20
"""In one request with pictures."""


def is_form(request: Request) -> None:
    """Refuse a request whose body is not a form with files.

    Raises:
        HTTPException: 415, it is not.
    """
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
    """The pictures of a request.

    Raises:
        HTTPException: 413, a picture has too many pixels; 415, it is neither JPEG nor PNG.
    """
    packed = [(await each.read(), each.filename or "a picture") for each in pictures]
    for content, name in packed:
        check_header(content, name)
    return Pictures(tuple(packed))


def check_header(content: bytes, name: str, most: int = MOST_PIXELS) -> None:
    """Refuse what is no picture, or would be huge when decoded, without decoding it.

    Raises:
        HTTPException: 413, it has too many pixels; 415, it is neither JPEG nor PNG.
    """
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


Sent = Annotated[Pictures, Depends(read_pictures)]
"""The request's pictures as an argument of an endpoint."""
