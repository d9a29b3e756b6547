"""``gpen-video presets``: which there are, and what is in one."""

import argparse

from gpen_video.cli.console import Console
from gpen_video.cli.parser import Parser, add_loudness
from gpen_video.errors import ConfigError


def build_parser() -> Parser:
    """The parser of this command."""
    parser = Parser(prog="gpen-video presets", description="Settings for one kind of footage each.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|show")
    add_loudness(commands.add_parser("list", help="names and what footage they are for"))
    show = commands.add_parser("show", help="print one as a settings file, to start your own from")
    show.add_argument("name", metavar="NAME")
    add_loudness(show)
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    """List the presets, or print one."""
    if arguments.command == "list":
        _list(console)
    else:
        from gpen_video.config.presets import load_preset

        console.text(load_preset(arguments.name).path.read_text(encoding="utf-8-sig"))


def _list(console: Console) -> None:
    from gpen_video.config.presets import find_presets, load_preset, user_folder

    rows: list[tuple[str, str]] = []
    for name, path in find_presets().items():
        try:
            own = " (your own)" if path.parent == user_folder() else ""
            rows.append((name, load_preset(name).description + own))
        except ConfigError as error:  # a broken file of the user's must not hide the others
            console.warning(str(error))
    console.table(("preset", "for"), rows)
