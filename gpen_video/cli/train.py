"""``gpen-video train``: training data, trainings, and what came of them."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gpen_video.cli.console import Console
from gpen_video.cli.parser import Parser, add_loudness
from gpen_video.errors import OutputError, UsageError

if TYPE_CHECKING:
    from gpen_video.nets.gpen import Gpen
    from gpen_video.train.detector_evaluation import Recall
    from gpen_video.train.evaluate import BeforeAfter, RestorerReport
    from gpen_video.train.recipes import Phase, Recipe
    from gpen_video.train.unet import UNet

_TERMS = "not stated"
_DETECTOR = "retinaface-mobile0.25"
_RECOGNISER = "arcface-ir-se50"
_SHEET_CELL = 256
"""Longer side of the pictures on the sheet of degradations."""


def build_parser() -> Parser:
    """The parser of this command."""
    parser = Parser(prog="gpen-video train", description="Train GPEN and the face detector; see docs/training.md.")
    commands = parser.add_subparsers(
        dest="command",
        required=True,
        metavar="prepare|recipes|run|export|evaluate|detector|evaluate-detector|degradations",
    )
    _prepare_parser(commands.add_parser("prepare", help="find the faces in a folder of images, or pack them"))
    commands.add_parser("recipes", help="which trainings there are")
    _run_parser(commands.add_parser("run", help="train by a recipe, or go on"))
    _export_parser(commands.add_parser("export", help="write trained weights as the file that restores"))
    _evaluate_parser(commands.add_parser("evaluate", help="measure weights on held-out faces"))
    _detector_parser(commands.add_parser("detector", help="train the face detector"))
    _evaluate_detector_parser(commands.add_parser("evaluate-detector", help="measure a detector on held-out faces"))
    _degradations_parser(commands.add_parser("degradations", help="draw every synthetic degradation on one sheet"))
    for command in commands.choices.values():
        add_loudness(command)
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Do what the subcommand says."""
    {
        "prepare": _prepare,
        "recipes": _recipes,
        "run": _run,
        "export": _export,
        "evaluate": _evaluate,
        "detector": _detector,
        "evaluate-detector": _evaluate_detector,
        "degradations": _degradations,
    }[arguments.command](arguments, console)


# -- prepare ----------------------------------------------------------------------------------------------------------


def _prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", metavar="DIR", type=Path, help="images, in folders named after persons or not")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder that receives index.csv and held-out.txt")
    parser.add_argument("--pack", metavar="FILE", type=Path, help="also write the aligned crops into one file")
    parser.add_argument("--size", type=_positive, default=256, help="side of a packed crop in pixels (default: 256)")
    parser.add_argument("--detector", default=_DETECTOR, help="weights that find the faces, name or file")
    parser.add_argument("--overwrite", action="store_true", help="replace an index or a pack that exists")


def _prepare(arguments: argparse.Namespace, console: Console) -> None:
    import torch

    from gpen_video.cli.progress import CountDisplay
    from gpen_video.faces.detect import RetinaFaceDetector
    from gpen_video.train.data import read_index
    from gpen_video.train.pack import pack
    from gpen_video.train.prepare import LEAST_SCORE, prepare
    from gpen_video.weights.load import load_detector

    net = load_detector(arguments.detector).net
    detector = RetinaFaceDetector(net, device=torch.device("cpu"), score=LEAST_SCORE, min_face=0)
    with CountDisplay(console, "faces found") as display:
        account = prepare(
            arguments.images,
            arguments.out,
            detector=detector,
            overwrite=arguments.overwrite,
            on_image=lambda progress: display.advanced(progress.done, progress.total),
        )
    for skip in account.skipped:
        console.warning(f"{skip.file}: {skip.reason}; left out")
    console.line(
        f"{account.folder}: {account.portraits} faces of {account.identities} persons, {account.held_out} held out"
    )
    for reason, count in account.counts.items():
        console.line(f"  left out: {count}, {reason}")
    if arguments.pack is not None:
        with CountDisplay(console, "packed") as display:
            pack(
                read_index(account.folder),
                arguments.pack,
                size=arguments.size,
                overwrite=arguments.overwrite,
                on_image=display.advanced,
            )
        console.line(f"{arguments.pack}: {arguments.pack.stat().st_size / 1e6:.1f} MB")


# -- recipes, run -----------------------------------------------------------------------------------------------------


def _recipes(_: argparse.Namespace, console: Console) -> None:
    from gpen_video.train.prior import PriorConfig
    from gpen_video.train.recipes import RECIPES

    rows = []
    for name, recipe in RECIPES.items():
        for phase in recipe():
            kind = "prior" if isinstance(phase.config, PriorConfig) else "restoration"
            start = " and ".join(filter(None, (phase.net_from, _named("discriminator", phase.discriminator_from))))
            schedule = phase.schedule
            images, batch = f"{schedule.images:,}", str(schedule.batch)
            rows.append((name, phase.name, kind, str(phase.config.network.size), images, batch, start or "nothing"))
    console.table(("recipe", "phase", "trains", "pixels", "images", "batch", "starts from"), rows)


def _named(what: str, phase: str | None) -> str | None:
    return f"{phase}'s {what}" if phase else None


def _run_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="one of gpen-video train recipes")
    parser.add_argument("faces", metavar="FACES", type=Path, help="a folder with an index, or a pack")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of the training; one that exists is gone on with")
    parser.add_argument("--phase", action="append", metavar="NAME", help="only this phase (may be given again)")
    parser.add_argument("--start-from", metavar="WEIGHTS", help="what the first phase begins with, name or file")
    parser.add_argument("--images", type=_positive, help="images of each phase, in place of the recipe's")
    parser.add_argument("--batch", type=_positive, help="images of a step, in place of the recipe's")
    parser.add_argument("--identity", type=_weight, metavar="WEIGHT", help="add an identity loss (published: 1)")
    parser.add_argument("--recogniser", default=_RECOGNISER, help="ArcFace weights that know persons, name or file")
    parser.add_argument("--minutes", type=float, help="save and stop after so long, to go on in another call")
    parser.add_argument("--seed", type=int, default=0)
    _add_machine_options(parser)


def _add_machine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cuda, cuda:N or cpu (default: auto)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="default: bf16 where the device computes in it")
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="compile the networks; by default on CUDA. On a CPU it takes minutes and a C++ compiler",
    )
    parser.add_argument("--workers", type=int, help="processes that make training pairs")
    parser.add_argument("--threads", type=_positive, help="of the CPU")


def _run(arguments: argparse.Namespace, console: Console) -> None:
    from gpen_video.cli.progress import TrainingDisplay
    from gpen_video.train.course import follow
    from gpen_video.train.machine import machine
    from gpen_video.train.source import faces_at
    from gpen_video.train.unlikeness import ArcFaceUnlikeness
    from gpen_video.weights.load import load_embedder, load_gpen

    started = time.monotonic()
    recipe = _chosen(arguments)
    start = load_gpen(arguments.start_from).net if arguments.start_from else None
    recogniser = load_embedder(arguments.recogniser).net if arguments.identity else None
    _make_folder(arguments.out)
    source = faces_at(arguments.faces, held_out=False)
    until = started + 60 * arguments.minutes if arguments.minutes else float("inf")
    with (
        machine(
            arguments.device,
            precision=arguments.precision,
            compile=arguments.compile,
            workers=arguments.workers,
            threads=arguments.threads,
        ) as place,
        TrainingDisplay(console) as display,
    ):
        console.note(f"{place.device}, {place.precision}, {place.workers} workers, {place.ranks} processes")
        unlikeness = None if recogniser is None else ArcFaceUnlikeness(recogniser, place.device)
        done = follow(recipe, source, arguments.out, place, display, until=until, unlikeness=unlikeness, start=start)
    if place.leads:
        console.line(f"{arguments.out}: {'done' if done else 'time is over; the same command goes on'}")


def _chosen(arguments: argparse.Namespace) -> Recipe:
    from gpen_video.train.recipes import by_name

    recipe = by_name(arguments.recipe)
    names = [phase.name for phase in recipe]
    for name in arguments.phase or ():
        if name not in names:
            raise UsageError(f"--phase {name}: {arguments.recipe} has {', '.join(names)}")
    return tuple(_altered(phase, arguments) for phase in recipe if phase.name in (arguments.phase or names))


def _altered(phase: Phase, arguments: argparse.Namespace) -> Phase:
    phase = phase.seeded(arguments.seed)
    if arguments.batch:
        phase = phase.batched(arguments.batch)
    if arguments.identity:
        phase = phase.knowing_persons(arguments.identity)
    return phase.lasting(arguments.images) if arguments.images else phase


# -- export, evaluate -------------------------------------------------------------------------------------------------


def _export_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "weights", metavar="WEIGHTS", help="folder of a phase: OUT/fine-tuning; name or file of weights"
    )
    parser.add_argument("file", metavar="FILE.safetensors", type=Path)
    parser.add_argument("--name", help="of the weights; by default the file's")
    parser.add_argument("--terms", default=_TERMS, help="under which the weights may be used")
    parser.add_argument("--towards", metavar="WEIGHTS", help="mix with these, of which WEIGHTS were trained on")
    parser.add_argument("--share", type=_share, default=0.5, help="of WEIGHTS in the mixture, 0 to 1 (default: 0.5)")


def _export(arguments: argparse.Namespace, console: Console) -> None:
    from gpen_video.train.export import export_gpen
    from gpen_video.train.interpolation import interpolated

    net = _restorer(arguments.weights)
    if arguments.towards:
        net = interpolated(net, _restorer(arguments.towards), arguments.share)
    export_gpen(net, arguments.file, name=arguments.name or arguments.file.stem, terms=arguments.terms)
    console.line(f"{arguments.file}: {arguments.file.stat().st_size / 1e6:.1f} MB")


def _restorer(weights: str) -> Gpen:
    from gpen_video.nets.gpen import Gpen

    net = _network(weights)
    if not isinstance(net, Gpen):
        raise UsageError(f"{weights}: holds the U-Net that GPEN is compared with; only a GPEN restores film")
    return net


def _network(weights: str) -> Gpen | UNet:
    """By name, file, or folder of a phase."""
    from gpen_video.train.course import trained_network
    from gpen_video.weights.load import load_gpen

    folder = Path(weights)
    return trained_network(folder) if folder.is_dir() else load_gpen(weights).net


def _evaluate_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", metavar="WEIGHTS", help="name or file of weights, or folder of a phase")
    parser.add_argument("faces", metavar="FACES", type=Path, help="a folder with an index, or a pack")
    parser.add_argument("--count", type=_positive, help="faces to measure on (default: all that are held out)")
    parser.add_argument("--seed", type=int, default=7, help="of the degradations (default: 7)")
    parser.add_argument("--imagenet", metavar="FILE", type=Path, help="MobileNet-0.25 for another Fréchet distance")
    parser.add_argument("--sheet", metavar="FILE.png", type=Path, help="draw faces degraded, restored and original")
    parser.add_argument("--themes", metavar="FILE.png", type=Path, help="draw chosen faces: teeth, glasses, beards …")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--threads", type=_positive)


def _evaluate(arguments: argparse.Namespace, console: Console) -> None:
    import torch

    from gpen_video.cli.progress import CountDisplay
    from gpen_video.restore.memory import keep_freed_memory
    from gpen_video.train.data import Crops
    from gpen_video.train.evaluate import evaluate_restorer, load_judges
    from gpen_video.train.sheet import comparison_sheet, themed_sheet, write_sheet
    from gpen_video.train.source import faces_at

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    net = _network(arguments.weights)
    source = faces_at(arguments.faces, held_out=True)(net.config.size)
    judges = load_judges(arguments.imagenet)
    with CountDisplay(console, "faces measured") as display:
        report = evaluate_restorer(
            net, source, seed=arguments.seed, count=arguments.count, judges=judges, on_faces=display.advanced
        )
    if arguments.json:
        console.json(report.as_dict())
    else:
        _print_report(report, arguments.weights, console)
    if arguments.sheet:
        write_sheet(comparison_sheet(net, source, seed=arguments.seed), arguments.sheet)
    if arguments.themes:
        if not isinstance(source, Crops):
            raise UsageError("--themes picks portraits by file name, which a pack does not keep; give the folder")
        write_sheet(themed_sheet(net, source, seed=arguments.seed), arguments.themes)


def _print_report(report: RestorerReport, weights: str, console: Console) -> None:
    rows = []
    for score in report.degradations:
        figures: list[tuple[str, BeforeAfter | None, str]] = [
            ("PSNR, dB", score.psnr, ".2f"),
            ("SSIM", score.ssim, ".3f"),
            ("sharpness", score.sharpness, ".2f"),
            ("landmark error, eye distances", score.landmark_error, ".3f"),
            ("faces found", score.faces_found, ".1%"),
            *((f"Fréchet distance, {name}", value, ".3g") for name, value in score.frechet.items()),
        ]
        rows += [
            (score.name, name, f"{value.degraded:{form}}", f"{value.restored:{form}}")
            for name, value, form in figures
            if value is not None
        ]
        rows.append((score.name, "share of faces better", "", f"{score.better:.0%}"))
    console.table(
        ("degradation", "figure", "degraded", "restored"),
        rows,
        title=f"{weights}: {report.faces} held-out faces of {report.size} pixels, seed {report.seed}",
    )
    for note in report.notes:
        console.line(note)


# -- detector ---------------------------------------------------------------------------------------------------------


def _detector_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("faces", metavar="FACES", type=Path, help="a folder with index and images")
    parser.add_argument("teacher", metavar="TEACHER", type=Path, help="a trained RetinaFace MobileNet-0.25")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of the training; one that exists is gone on with")
    parser.add_argument("--backbone", type=Path, help="ImageNet weights of MobileNet-0.25 to start from")
    parser.add_argument("--start-from", type=Path, metavar="WEIGHTS", help="weights of an earlier training")
    parser.add_argument("--large-faces", action="store_true", help="train only what finds faces above 150 pixels")
    parser.add_argument("--steps", type=_positive, default=5500)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=_positive)


def _detector(arguments: argparse.Namespace, console: Console) -> None:
    import torch

    from gpen_video.cli.progress import CountDisplay
    from gpen_video.train.detector import LARGE_FACES, DetectorTrainConfig, train_detector

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config = DetectorTrainConfig(
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        backbone=arguments.backbone,
        start=arguments.start_from,
        trained=LARGE_FACES if arguments.large_faces else (),
    )
    _make_folder(arguments.out)
    with CountDisplay(console, "steps") as display:
        exported = train_detector(
            config,
            arguments.faces,
            arguments.teacher,
            arguments.out,
            arguments.seed,
            on_step=lambda progress: display.advanced(progress.step, arguments.steps),
        )
    console.line(str(exported))


def _evaluate_detector_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", metavar="WEIGHTS", help="name or file of a RetinaFace MobileNet-0.25")
    parser.add_argument("faces", metavar="FACES", type=Path, help="a folder with index and images")
    parser.add_argument("--count", type=_positive, default=300, help="composites to measure on (default: 300)")
    parser.add_argument("--teacher", metavar="FILE", type=Path, help="another detector, to compare with on --clips")
    parser.add_argument("--clips", metavar="DIR", type=Path, help="films, for the agreement with --teacher")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _evaluate_detector(arguments: argparse.Namespace, console: Console) -> None:
    from gpen_video.cli.progress import CountDisplay
    from gpen_video.train.composites import load_portraits
    from gpen_video.train.detector_evaluation import (
        agreement_with_teacher,
        candidate_detector,
        evaluate_on_composites,
        recall_by_size,
    )

    if (arguments.teacher is None) != (arguments.clips is None):
        raise UsageError("--teacher and --clips go together")
    portraits = load_portraits(arguments.faces, held_out=True)
    detector = candidate_detector(arguments.weights)
    results: dict[str, object] = {}
    for name, degraded in (("clean", False), ("degraded", True)):
        with CountDisplay(console, f"{name} composites") as display:
            scores = evaluate_on_composites(
                detector, portraits, count=arguments.count, degraded=degraded, on_picture=display.advanced
            )
        results[f"composites, {name}"] = scores.as_dict()
        if not arguments.json:
            console.line(
                f"{name} composites: recall {scores.recall.share or 0:.1%} of {scores.recall.wanted} faces at "
                f"{scores.false_finds_per_100:.2g} false finds per 100 pictures (score {scores.score:.3f}); "
                f"{scores.at_default.share or 0:.1%} at {scores.default_false_finds_per_100:.2g} "
                f"(score {scores.default_score})"
            )
    sizes = recall_by_size(detector, portraits)
    results["by size"] = [asdict(size) for size in sizes]
    if not arguments.json:
        console.table(
            ("pixels", "recall, clean", "recall, degraded", "landmark error, clean"),
            [
                (str(s.size), f"{s.clean.share or 0:.1%}", f"{s.degraded.share or 0:.1%}", _error(s.clean))
                for s in sizes
            ],
        )
    if arguments.clips is not None:
        agreement = agreement_with_teacher(detector, candidate_detector(str(arguments.teacher)), arguments.clips)
        results["agreement"] = agreement.as_dict()
        if not arguments.json:
            console.line(f"agreement with the teacher on {len(agreement.clips)} clips: {agreement.share or 0:.1%}")
    if arguments.json:
        console.json(results)


def _error(recall: Recall) -> str:
    return "" if recall.landmark_median is None else f"{recall.landmark_median:.3f}"


# -- degradations -----------------------------------------------------------------------------------------------------


def _degradations_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", type=Path, help="a face")
    parser.add_argument("sheet", metavar="SHEET.png", type=Path)
    parser.add_argument("--seed", type=int, default=0)


def _degradations(arguments: argparse.Namespace, console: Console) -> None:
    import cv2
    import numpy as np

    from gpen_video.train.data import decode_image, read_bytes
    from gpen_video.train.degrade import contact_sheet
    from gpen_video.train.sheet import write_sheet

    image = decode_image(read_bytes(arguments.image), arguments.image)
    shrink = min(1.0, _SHEET_CELL / max(image.shape[:2]))
    shown = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    face = np.ascontiguousarray(shown[:, :, ::-1]).astype(np.float32) / np.float32(255)
    sheet = contact_sheet(face, arguments.seed)
    write_sheet(np.rint(sheet * 255).astype(np.uint8), arguments.sheet)
    console.line(str(arguments.sheet))


# -- shared -----------------------------------------------------------------------------------------------------------


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be made a folder ({error.strerror})") from error


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be 1 or more")
    return value


def _weight(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be above 0")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} must be from 0 to 1")
    return value
