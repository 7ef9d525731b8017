import os
import subprocess
import sys

import pytest

CODE = """
import os, sys
from contextlib import suppress
from leagents_kedro.foundation.output import lasting_output
with lasting_output():
    for number in range(3):
        print(number, flush=True)
        print(number, file=sys.stderr)
        with suppress(BrokenPipeError):
            os.write(1, b"from C")
with open("ledger", "w") as file:
    file.write(f"{file.fileno()} whole")
"""


@pytest.mark.parametrize("redirection", ["", "| head -0", ">&-", "2>&-", ">&- 2>&-", "2>&1 | head -1", ">/dev/null"])
def test_a_process_goes_on_whatever_becomes_of_its_output(tmp_path, redirection):
    command = f'{{ "$0" -c "$1"; echo $? >code; }} {redirection}'
    subprocess.run(["/bin/sh", "-c", command, sys.executable, CODE], cwd=tmp_path, env=os.environ, check=False)
    assert (tmp_path / "code").read_text() == "0\n"
    descriptor, text = (tmp_path / "ledger").read_text().split()
    assert text == "whole"
    assert int(descriptor) > 2, "what C code prints goes into no file"


def test_what_is_read_is_printed():
    printed = subprocess.run([sys.executable, "-c", CODE.partition("with open")[0]], capture_output=True, text=True)
    assert printed.stdout.replace("from C", "").split() == printed.stderr.split() == ["0", "1", "2"]
