"""``python -m benchmarks``: measure, show one table, and exit with 1 where a limit is missed."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.report import with_table
from benchmarks.sections import SECTIONS, measure
from leagents_kedro.foundation.files import write_atomically

WIDTH_OF_FILES = 160


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, in less than five minutes")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="NAME", help=f"some of {', '.join(SECTIONS)}")
    parser.add_argument("--json", type=Path, help="file to write the rows to, for programs")
    parser.add_argument("--markdown", type=Path, help="file to write the table to; between its marks, if it has them")
    options = parser.parse_args(arguments)
    report = measure(options.only or SECTIONS, options.quick)
    if options.json:
        write_atomically(options.json, report.json().encode())
    if options.markdown:
        document = options.markdown.read_text() if options.markdown.exists() else ""
        write_atomically(options.markdown, with_table(document, report.markdown()).encode())
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH_OF_FILES
    console.print(report.table())
    for name, failure in report.failures.items():
        console.print(f"{name}: {failure}", style="red", markup=False)
    console.print(report.summary, markup=False, soft_wrap=True)
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
