"""Setting up logging, each time in a process of its own, because it is global."""

import json
import subprocess
import sys

SCRIPT = """
import json, logging, sys
early = logging.getLogger("lighthouse.early")
from lighthouse.log.setup import configure
for program, config in json.loads(sys.argv[1]):
    configure(program, config)
early.info("early %s", "bird\\x1b")
early.debug("not shown")
"""


def run(*calls):
    done = subprocess.run([sys.executable, "-c", SCRIPT, json.dumps(calls)], capture_output=True, text=True, check=True)
    return done.stderr


def to_stdout(**more):
    handler = {"class": "logging.FileHandler", "filename": "/dev/stderr", "formatter": "own", "filters": ["context"]}
    return {
        "formatters": {"own": {"format": "[%(program)s] %(message)s"}},
        "filters": {"context": {"()": "lighthouse.log.ContextFilter"}},
        "handlers": {"own": handler},
        "root": {"level": "INFO", "handlers": ["own"]},
        **more,
    }


def test_by_default_lines_go_to_standard_error():
    out = run(("checker/web", None))
    assert out.endswith(" lighthouse.early: early bird\\x1b\n")
    assert out.count("\n") == 1


def test_a_second_configuration_replaces_the_first():
    assert run(("a", None), ("a", None)).count("early bird") == 1
    assert run(("a", to_stdout()), ("a", None)).count("early bird") == 1


def test_a_logging_yaml_of_version_1_0_works_and_keeps_earlier_loggers():
    assert run(("checker/web", to_stdout(version=1))) == "[checker/web] early bird\x1b\n"


def test_the_handler_of_version_1_0_can_be_named():
    config = {
        "handlers": {"cli": {"class": "lighthouse.log.cli.CLIHandler"}},
        "root": {"level": "INFO", "handlers": ["cli"]},
    }
    assert run(("x", config)) == "early bird\x1b\n"


def test_a_refused_configuration_is_told_and_logging_goes_on():
    missing = {"class": "logging.FileHandler", "filename": "/nonexistent/x.log"}
    out = run(("a", to_stdout(handlers={"own": missing}, disable_existing_loggers=True)))
    refused, line = out.splitlines()
    assert "logging.yaml is refused" in refused
    assert "/nonexistent/x.log" in refused
    assert line.endswith("early bird\\x1b")


def test_nonsense_is_refused_without_a_crash():
    for nonsense in ([], "text", {"version": 7}, {"handlers": 3}, {"root": {"handlers": ["absent"]}}):
        out = run(("a", nonsense))
        assert "logging.yaml is refused" in out, nonsense
        assert out.count("early bird") == 1, nonsense
