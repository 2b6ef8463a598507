"""The commands about network files: list, get, verify."""

from cyclopts import App

from reseen.cli.options import Json
from reseen.progress import make_table, plain, print_table

models_app = App(name="models", help="List, load and verify network files that others trained.")


@models_app.command(name="list")
def list_(*, json: Json = None) -> None:
    """List the networks that reseen knows, with their licences and what they reach."""
    import msgspec

    from reseen.files import write_json
    from reseen.models.catalogue import catalogue

    entries = catalogue().values()
    if json is not None:
        here = [{**msgspec.to_builtins(entry), "here": entry.path.is_file()} for entry in entries]
        write_json(json, here)
    rows = [
        (
            entry.name,
            entry.use,
            "here" if entry.path.is_file() else "to load" if entry.address else "to export",
            _megabytes(entry.bytes),
        )
        for entry in entries
    ]
    print_table(make_table("networks", ("name", "use", "state", "MB"), rows))
    for entry in entries:
        print(f"{entry.name}: {entry.about}")
        print(f"  licence {entry.licence}; trained on {entry.data}")
        print(f"  {entry.input} -> {entry.output}")
        if entry.scores:
            print(f"  {entry.scores}")


@models_app.command
def get(name: str, *, sha256: str = "") -> None:
    """Load a network file into the folder of models, and check it.

    The folder is in the user's cache, or what RESEEN_MODELS names. Stopped and started again, it
    goes on where it was.

    Args:
        name: A name of `models list`.
        sha256: What the file must have, where nobody has published it.
    """
    from reseen.models.catalogue import entry_named
    from reseen.models.fetch import address_of, fetch
    from reseen.models.lite0 import lite0_file

    entry = entry_named(name)
    if name == "lite0":
        print(lite0_file())
        return
    print(f"{address_of(entry)}, {_megabytes(entry.bytes)} MB", flush=True)
    print(f"licence {entry.licence}; trained on {entry.data}", flush=True)
    print(fetch(entry, sha256))


@models_app.command
def verify() -> int:
    """Compare the network files that are here with their SHA-256.

    Ends with 0 when all are right, with 1 when one is not.
    """
    from reseen.files import sha256_of
    from reseen.models.catalogue import catalogue, models_folder

    wrong = 0
    for entry in catalogue().values():
        if entry.path.is_file():
            found = sha256_of(entry.path)
            right = "cannot be verified" if not entry.sha256 else "good"
            state = right if entry.sha256 in ("", found) else f"WRONG, SHA-256 {found}"
            wrong += state.startswith("WRONG")
            print(plain(f"{entry.path}: {state}"))
    print(f"{models_folder()}: {wrong} wrong")
    return 1 if wrong else 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f}" if size else "?"
