"""A distribution with small plugins of its own, installed for one test: real entry points, real imports."""

import sys
import textwrap

PLUGINS = textwrap.dedent(
    '''
    """Plugins for tests."""
    from typing import Literal

    from lighthouse.balancer import Balancer
    from lighthouse.check import Check
    from lighthouse.discovery import Discovery
    from lighthouse.errors import ConfigError
    from lighthouse.options import Option


    class Beacon(Discovery):
        options = {
            "hosts": Option(list[str], "addresses of the beacons"),
            "password": Option(str, "how to log in", default=""),
            "retries": Option(int, "attempts", default=3, minimum=1, maximum=9),
        }

        @classmethod
        def validate_config(cls, config):
            if config["hosts"] == ["nowhere"]:
                raise ConfigError("'nowhere' is no place: name a real host", ("hosts", 0))
            config["hosts"].append("changed by the plugin")


    class Scales(Balancer):
        options = {"file": Option(str, "path of the output"), "copy": Option(bool, "keep a copy", default=False)}
        cluster_options = {
            "port": Option(int, "the port of the front end", default=None, minimum=1, maximum=65535),
            "mode": Option(Literal["tcp", "http"], "what is spoken", default="tcp"),
            "global": Option(list[str], "lines", default=[]),
            "weight": Option(int | float, "a weight", default=1),
        }

        @classmethod
        def validate_cluster_config(cls, config):
            if config["port"] == 666:
                raise ConfigError("this port is cursed: choose another", ("port",))


    class Classic(Balancer):
        """Without declared options, as written for lighthouse 1.0."""

        @classmethod
        def validate_config(cls, config):
            if "output" not in config:
                raise ValueError("No output given")


    class Echo(Check):
        options = {"phrase": Option(str, "what to say", default="hello"), "loud": Option(bool, "shout", default=False)}


    class Odd(Check):
        """Raises what it is told to raise."""

        @classmethod
        def validate_check_config(cls, config):
            class Unprintable(Exception):
                def __str__(self):
                    raise RuntimeError("no text")

            known = {"exit": SystemExit(3), "key": KeyError("x"), "base": BaseException("b"), "value": ValueError("bad\\x1bvalue")}
            known["unprintable"] = Unprintable()
            if "raise" in config:
                raise known[config["raise"]]


    class Needy(Check):
        @classmethod
        def validate_dependencies(cls):
            return False


    class BadOptions(Check):
        options = {"thing": Option(object(), "unusable type")}


    class BadDefault(Check):
        options = {"thing": Option(str, "default that is no plain data", default=object())}


    not_a_class = 42
    '''
)

ENTRY_POINTS = textwrap.dedent(
    """
    [lighthouse.discovery]
    beacon = sample_plugins:Beacon
    broken = sample_broken:Thing

    [lighthouse.balancers]
    scales = sample_plugins:Scales
    classic = sample_plugins:Classic

    [lighthouse.checks]
    echo = sample_plugins:Echo
    odd = sample_plugins:Odd
    needy = sample_plugins:Needy
    badoptions = sample_plugins:BadOptions
    baddefault = sample_plugins:BadDefault
    wrongbase = sample_plugins:Scales
    number = sample_plugins:not_a_class
    nomodule = sample_not_there:Thing
    noattribute = sample_plugins:Nothing
    exits = sample_exits:Thing
    syntax = sample_syntax:Thing
    malformed = !!
    module = sample_plugins
    twice = sample_plugins:Echo
    """
)

MODULES = {
    "sample_plugins": PLUGINS,
    "sample_broken": "raise RuntimeError('the import failed')\n",
    "sample_exits": "import sys\nsys.exit(7)\n",
    "sample_syntax": "def (:\n",
}


def write_distribution(site, name, entry_points, modules=None):
    """Make `site` hold a distribution, as an installer would."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    for module, text in (modules or {}).items():
        (site / f"{module}.py").write_text(text)


def install(site, monkeypatch):
    """Put the sample distribution on the path until the test ends."""
    write_distribution(site, "sample", ENTRY_POINTS, MODULES)
    write_distribution(site, "sample_other", "[lighthouse.checks]\ntwice = sample_plugins:Odd\n")
    forget(monkeypatch)
    monkeypatch.syspath_prepend(str(site))


def forget(monkeypatch):
    """Make the next import of a sample module start afresh, and leave none behind."""
    for module in MODULES:
        monkeypatch.setitem(sys.modules, module, None)
        del sys.modules[module]
