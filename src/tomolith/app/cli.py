"""The command ``tomolith``.

Imports of the rooms stay inside the commands: ``--help`` must be quick.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tomolith.app.study import Study

# Written out, not taken from STEPS, so that --help imports no room; a test holds them equal.
STEP_SUMMARIES = {
    "phantom": "Simulate a lithium cell, or a cathode, with exact labels.",
    "reconstruct": "Reconstruct scans from projections.",
    "import": "Copy scans and labels into the study.",
    "train": "Train a network on the labelled slices.",
    "ensemble": "Average trained models into one.",
    "predict": "Segment whole scans, out of core.",
    "refine": "Mend label maps by what is known of the cell.",
    "evaluate": "Score predictions against labels on held-out slices.",
    "measure": "Turn labels into numbers.",
    "verdict": "Hold the rules of the recipe against the measured numbers.",
    "compare": "Train several systems and compare them on held-out slices.",
    "report": "Write the report, one HTML file.",
}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From X-ray tomograms of lithium-metal cells to lithium numbers.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe.yaml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Override a recipe value, for example train.epochs=5. May be repeated.",
    ),
]


def say(line: str) -> None:
    """Write one line of progress to the terminal's error stream."""
    typer.echo(line, err=True)


def _version(wanted: bool) -> None:
    if wanted:
        from tomolith.core.provenance import code_version

        typer.echo(f"tomolith {code_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Hold the options that stand before a command."""


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new study.")],
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="See 'tomolith list recipes'; 'own-scans' if left out."),
    ] = None,
) -> None:
    """Write a commented recipe to start a study from."""
    from tomolith.app.new import PLAIN, new_study

    written = new_study(folder, recipe or PLAIN)
    say(f"wrote {written}\nnext: edit it, then  tomolith check {written}")


@app.command()
def check(recipe: RecipePath, set_: Overrides = None) -> None:
    """Validate a recipe, open every input, and say what would run."""
    from tomolith.app.check import check_study
    from tomolith.app.study import Study

    for line in check_study(Study.load(recipe, set_ or ())):
        typer.echo(line)


@app.command()
def run(
    recipe: RecipePath,
    set_: Overrides = None,
    until: Annotated[str | None, typer.Option(metavar="STEP", help="Stop after this step.")] = None,
) -> None:
    """Run all steps of a recipe that are out of date; goes on where it was stopped."""
    from tomolith.app.run import run_study
    from tomolith.app.study import Study

    study = Study.load(recipe, set_ or ())
    if until is not None:
        _require_step(until, study.recipe.active_steps)
    run_study(study, say=say, until=until)
    page = study.root / "report" / "index.html"
    if page.exists() and until in (None, "report"):
        say("")
        typer.echo(f"report: {page}")
    _exit_as_judged(study, until)


def _exit_as_judged(study: Study, until: str | None) -> None:
    """Exit with 6 or 7 where the verdict is fail or undecided; all results are written by then."""
    from tomolith.app.steps.verdict import verdict_exit_code

    steps = study.recipe.active_steps
    if until is not None:
        steps = steps[: steps.index(until) + 1]
    if "verdict" in steps:
        raise typer.Exit(verdict_exit_code(study))


def _require_step(name: str, active: tuple[str, ...]) -> None:
    from tomolith.config import did_you_mean
    from tomolith.errors import RecipeError

    if name not in active:
        raise RecipeError(
            f"--until {name}: the recipe has no such step", mend=did_you_mean(name, active)
        )


def _explain_quantities(wanted: bool) -> None:
    if wanted:
        list_("quantities")
        raise typer.Exit


def _add_measure_command(summary: str) -> None:
    def command(
        recipe: RecipePath,
        set_: Overrides = None,
        explain: Annotated[
            bool,
            typer.Option(
                "--list",
                callback=_explain_quantities,
                is_eager=True,
                help="Explain every quantity, with formula and source, and stop.",
            ),
        ] = False,
    ) -> None:
        from tomolith.app.run import run_one
        from tomolith.app.study import Study

        run_one(Study.load(recipe, set_ or ()), "measure", say=say)

    app.command("measure", help=summary)(command)


def _add_step_command(step: str, summary: str) -> None:
    def command(recipe: RecipePath, set_: Overrides = None) -> None:
        from tomolith.app.run import run_one
        from tomolith.app.study import Study

        study = Study.load(recipe, set_ or ())
        run_one(study, step, say=say)
        if step == "verdict":
            _exit_as_judged(study, step)

    app.command(step, help=summary)(command)


for _step, _summary in STEP_SUMMARIES.items():
    if _step == "measure":
        _add_measure_command(_summary)
    else:
        _add_step_command(_step, _summary)


@app.command("list")
def list_(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help=(
                "networks, losses, metrics, quantities, readers, cyclers, exporters, steps or "
                "recipes."
            ),
        ),
    ],
) -> None:
    """List what can be named in a recipe, with the options of each."""
    from tomolith.app.listing import listing

    for line in listing(kind):
        typer.echo(line)


@app.command()
def info(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="An image, scan, model or cycler file.")
    ],
    dataset: Annotated[
        str | None, typer.Option(help="Which dataset of an HDF5 file to open.")
    ] = None,
) -> None:
    """Describe a file: format, shape, type, voxel size."""
    from tomolith.app.info import describe

    for line in describe(path, dataset=dataset):
        typer.echo(line)


@app.command()
def verify(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="A study folder or recipe.")],
) -> None:
    """Read every result back and check that it is whole."""
    from tomolith.app.verify import verify_study

    say(verify_study(study))


@app.command()
def export(
    scan: Annotated[Path, typer.Argument(metavar="SCAN", help="A scans/<id>.zarr.")],
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    labels: Annotated[
        str | None, typer.Option(help="Name of a label map; the image if left out.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="See 'tomolith list exporters'.")] = "tiff",
) -> None:
    """Write an image or a label map for Fiji, Dragonfly or Avizo."""
    from tomolith.app.export import export_scan

    say(f"wrote {export_scan(scan, target, labels=labels, form=form)}")


def main() -> None:
    """Run the command line; turn tomolith's errors into messages and exit codes."""
    from tomolith.errors import TomolithError

    # OpenMP threads that spin while they wait stall every other process on a busy machine;
    # the variable is read when the numeric libraries are loaded, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        app()
    except TomolithError as error:
        typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
        typer.echo(str(error), err=True)
        for note in getattr(error, "__notes__", ()):
            typer.echo(f"  note:     {note}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("\nstopped. The same command goes on from here.")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:
        typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
        typer.echo(f"{error.strerror or error}\n  where:    {error.filename or '?'}", err=True)
        sys.exit(3)
