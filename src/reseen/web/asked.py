"""The filters of a page, which live in its address."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Query

from reseen.errors import ReseenError
from reseen.gallery.records import Entry, Filter
from reseen.web.api import LONGEST_CAMERA, LONGEST_MODEL, MOST_AT_ONCE
from reseen.web.times import seconds

FEW = 20
"""Matches where no other number is asked for."""


@dataclass(frozen=True)
class Asked:
    """What the filters of a page are set to; empty texts are not set.

    Attributes:
        model: whose features are meant.
        camera: only this camera.
        start, end: a time window, as people write times.
        other_cameras: leave out the query's own camera.
        k: how many matches.
    """

    model: Annotated[str, Query(max_length=LONGEST_MODEL)] = ""
    camera: Annotated[str, Query(max_length=LONGEST_CAMERA)] = ""
    start: Annotated[str, Query(max_length=100)] = ""
    end: Annotated[str, Query(max_length=100)] = ""
    other_cameras: bool = False
    k: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = FEW

    @property
    def narrowed(self) -> bool:
        """Whether some tracklets are left out."""
        return bool(self.camera or self.start or self.end or self.other_cameras)

    def where(self, query: Entry | None = None) -> Filter:
        """The filter for matches of a query, or for all tracklets.

        Raises:
            HTTPException: 400, a time cannot be read.
        """
        try:
            start, end = seconds(self.start), seconds(self.end)
        except ReseenError as error:
            raise HTTPException(400, f"{error}.") from error
        not_camera = query.camera if query is not None and self.other_cameras else None
        return Filter(camera=self.camera or None, not_camera=not_camera, start=start, end=end)

    def state(self) -> dict[str, str | int]:
        """The parameters that bring this back in an address, defaults empty."""
        return {
            "model": self.model,
            "camera": self.camera,
            "start": self.start,
            "end": self.end,
            "other_cameras": int(self.other_cameras),
            "k": "" if self.k == FEW else self.k,
        }


AskedFor = Annotated[Asked, Depends()]
"""The filters as an argument of an endpoint."""
