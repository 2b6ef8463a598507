"""Options that several commands share."""

from typing import Annotated, Literal

from cyclopts import Parameter

from reseen.network.config import Config

BodyParts = Literal["full", "upper", "lower", "all"]
ConfigOverrides = Annotated[Config | None, Parameter(name="*")]
