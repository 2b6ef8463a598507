"""The command that shows a gallery as pages."""

from pathlib import Path
from typing import Annotated

from reseen.cli.gallery import open_gallery
from reseen.cli.options import GalleryPlace, secret, within
from reseen.errors import ReseenError


def serve(
    gallery: GalleryPlace,
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, within(0, 65_535)] = 8000,
    token: str | None = None,
    token_file: Path | None = None,
    allow_host: list[str] | None = None,
    model: list[str] | None = None,
) -> None:
    """Show a gallery as a web page, until Ctrl-C.

    Args:
        host: Address to listen on; any but this machine's own needs a token, this one or one of
            `reseen gallery tokens`.
        port: Port to listen on; 0 takes a free one.
        token: A token that lets manage, 16 random characters or more; better in a file or in the
            environment's RESEEN_TOKEN, where nobody else on this machine can read it.
        token_file: File whose first line is the token.
        allow_host: A name by which it may be called, where a proxy stands before it.
        model: Run folders or ONNX files whose models may be searched with by sending pictures;
            stripes, and lite0 or another network of `reseen models list`, always may.
    """
    from reseen.gallery.extractors import open_extractor
    from reseen.models.catalogue import best_trunk
    from reseen.web.app import serve

    if token is not None and token_file is not None:
        raise ReseenError("--token and --token-file both name a token; give one of them")
    hidden = token is None
    token = secret(token_file, "RESEEN_TOKEN") if hidden else token

    def ready(address: str) -> None:
        # The address holds the token, and what is printed may end in a log.
        print(f"open {address.partition('?')[0] if hidden else address}", flush=True)

    serve(
        open_gallery(gallery),
        host,
        port,
        token,
        allow_hosts=allow_host or (),
        extractors=[open_extractor(name) for name in ("stripes", best_trunk(), *(model or []))],
        ready=ready,
    )
