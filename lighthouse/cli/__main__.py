"""`python -m lighthouse.cli` is `lighthouse`."""

from lighthouse.cli.main import main

main(prog_name="lighthouse")
