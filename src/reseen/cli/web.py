"""The command that shows a gallery as pages."""

from typing import Annotated

from reseen.cli.options import within


def serve(
    gallery: str,
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, within(0, 65_535)] = 8000,
    token: str | None = None,
    model: list[str] | None = None,
) -> None:
    """Show a gallery as a web page, until Ctrl-C.

    Args:
        gallery: The gallery.
        host: Address to listen on; any but this machine's own needs a token.
        port: Port to listen on; 0 takes a free one.
        token: What visitors must know, 16 characters or more.
        model: Run folders whose models may be searched with by sending pictures; stripes always
            may.
    """
    from reseen.gallery.extractors import open_extractor
    from reseen.gallery.gallery import Gallery
    from reseen.web.app import serve

    serve(
        Gallery.open(gallery),
        host,
        port,
        token,
        extractors=[open_extractor(name) for name in ("stripes", *(model or []))],
        ready=lambda address: print(f"open {address}", flush=True),
    )
