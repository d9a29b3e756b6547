"""``gpen-video weights``: which there are, fetching and checking them."""

import argparse
from collections.abc import Sequence

from gpen_video.cli.console import Console
from gpen_video.cli.parser import Parser, add_loudness
from gpen_video.errors import DownloadError
from gpen_video.weights.cache import cache_folder, location
from gpen_video.weights.locate import fetch, verify
from gpen_video.weights.registry import REGISTRY, Weights, by_name


def build_parser() -> Parser:
    """The parser of this command."""
    parser = Parser(
        prog="gpen-video weights", description="Weights of the networks: those that come along, and others."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|fetch|verify|path")
    add_loudness(commands.add_parser("list", help="names, terms, and which are here"))
    parsers = {
        "fetch": commands.add_parser("fetch", help="fetch into the cache"),
        "verify": commands.add_parser("verify", help="check those that are here against their hashes"),
        "path": commands.add_parser("path", help="where a file is, or where to put it by hand; without NAME the cache"),
    }
    for name, command in parsers.items():
        command.add_argument("names", metavar="NAME", nargs="+" if name == "fetch" else "*")
        add_loudness(command)
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Do what the subcommand says."""
    if arguments.command == "list":
        _list(console)
        return
    chosen = [by_name(name) for name in arguments.names]
    {"fetch": _fetch, "verify": _verify, "path": _path}[arguments.command](chosen, console)


def _list(console: Console) -> None:
    rows = [(w.name, w.task, _state(w), _size(w), w.description) for w in REGISTRY.values()]
    console.table(("name", "for", "here", "size", "what it is"), rows)
    console.line()
    for terms in dict.fromkeys(w.terms for w in REGISTRY.values()):
        console.line(f"{', '.join(w.name for w in REGISTRY.values() if w.terms == terms)}:")
        console.line(f"  {terms}")


def _fetch(chosen: Sequence[Weights], console: Console) -> None:
    from gpen_video.cli.progress import TransferDisplay

    for weights in chosen:
        console.note(f"{weights.name}: {weights.terms}")
        with TransferDisplay(console, weights.name) as display:
            found = fetch(weights, progress=display.advanced)
        console.line(str(found.path))


def _verify(chosen: Sequence[Weights], console: Console) -> None:
    for weights in chosen or [w for w in REGISTRY.values() if location(w).exists()]:
        if not location(weights).exists():
            raise DownloadError(f"{weights.name}: not here; fetch it with gpen-video weights fetch {weights.name}")
        console.line(f"{weights.name}: sha256 {verify(weights).sha256}, as {_voucher(weights)}")


def _path(chosen: Sequence[Weights], console: Console) -> None:
    for path in [location(weights) for weights in chosen] or [cache_folder()]:
        console.line(str(path))


def _voucher(weights: Weights) -> str:
    if weights.shipped:
        return "in the program's list"
    return "in the registry" if weights.sha256 else "when it was first used"


def _state(weights: Weights) -> str:
    return "yes" if location(weights).exists() else "no"


def _size(weights: Weights) -> str:
    path = location(weights)
    size = path.stat().st_size if path.exists() else weights.bytes
    return f"{size / 1e6:.1f} MB" if size is not None else "?"
