"""What is told of a wrong file: the exact line, key, value and remedy."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lighthouse.config.document import parse
from lighthouse.settings import Settings
from support import plugin_site
from support.config_directory import Directory


@pytest.fixture
def tree(tmp_path, monkeypatch):
    plugin_site.install(tmp_path / "site", monkeypatch)
    return Directory(tmp_path / "conf")


def test_everything_good_is_in_force(tree):
    assert {path: file.state.value for path, file in tree.compile().plan.files.items()} == {
        "balancers/scales.yaml": "ok",
        "clusters/web.yaml": "ok",
        "discovery/beacon.yaml": "ok",
        "services/app.yaml": "ok",
    }


# clusters ------------------------------------------------------------------------------------------------------------


def test_an_unknown_key_of_a_cluster(tree):
    [error] = tree.errors("clusters/a.yaml", "discovery: beacon\nscaless:\n  port: 1\nscales: {}\n")
    assert error.startswith("clusters/a.yaml:2: unknown key 'scaless'; did you mean 'scales'? known keys: ")
    assert {"classic", "discovery", "name", "scales"} <= set(error.rpartition("known keys: ")[2].split(", "))


def test_meta_cluster_is_a_name(tree):
    [error] = tree.errors("clusters/a.yaml", "discovery: beacon\nscales: {}\nmeta_cluster: 5\n")
    assert error.startswith("clusters/a.yaml:3: key 'meta_cluster': 5: expected text")


def test_the_guard_of_a_cluster(tree):
    tree.write("lighthouse.yaml", "mass_loss: {window: 30}\n")
    tree.write("clusters/a.yaml", "discovery: beacon\nscales: {}\nguard: {share: 0.8}\n")
    tree.write("clusters/b.yaml", "discovery: beacon\nscales: {}\nguard: off\n")
    guards = tree.compile().blobs["discovery/beacon"]["guards"]
    usual = {"share": 0.5, "minimum": 2, "window": 30.0, "hold": 300.0}
    assert guards == {"web": usual, "a": {**usual, "share": 0.8}}


@pytest.mark.parametrize(
    ("guard", "told"),
    [
        ("on", "key 'guard': 'on': expected 'off' or a mapping of keys"),
        ("{shear: 1}", "unknown key 'guard.shear'; did you mean 'share'?"),
        ("{share: 50}", "key 'guard.share': 50: must be at most 1"),
        ("{minimum: 0}", "key 'guard.minimum': 0: must be at least 1"),
    ],
)
def test_a_guard_that_makes_no_sense(tree, guard, told):
    [error] = tree.errors("clusters/a.yaml", f"discovery: beacon\nscales: {{}}\nguard: {guard}\n")
    assert error.startswith(f"clusters/a.yaml:3: {told}")


def test_a_cluster_needs_a_discovery_and_a_balancer(tree):
    missing, balancer = tree.errors("clusters/a.yaml", "name: a\n")
    assert missing == "clusters/a.yaml:1: key 'discovery' is missing: name a file of discovery/"
    assert balancer.startswith("clusters/a.yaml:1: no balancer is configured: add one of the keys ")
    assert "scales" in balancer


@pytest.mark.parametrize(
    ("path", "text", "keys"),
    [
        (
            "clusters/a.yaml",
            """\
            discovery: 5
            scales: {}
            filter: {'no label': v1}
            zone: {prefer: 'no zone', minimum: none}
            default_nodes: ['web:80']
            """,
            ["discovery", "filter.no label", "zone.minimum", "zone.prefer", "default_nodes[0]"],
        ),
        (
            "services/a.yaml",
            """\
            discovery: beacon
            ports: many
            labels: {'no label': v1}
            checks:
              interval: often
              http: {uri: index.html, rise: none, fall: 1}
            """,
            ["ports", "labels.no label", "checks.interval", "checks.http.rise", "checks.http.uri"],
        ),
    ],
)
def test_a_mistake_in_one_key_hides_none_in_another(tree, path, text, keys):
    told = tree.errors(path, text)
    assert sorted(error.split("key '")[1].split("'")[0] for error in told) == sorted({*keys}), told


def test_a_clusters_part_is_judged_by_the_balancers_options(tree):
    text = """\
        discovery: beacon
        scales:
          port: 70000
          mode: udp
          global: line
          weight: heavy
          extra: 1
        """
    assert tree.errors("clusters/a.yaml", text) == [
        "clusters/a.yaml:3: key 'scales.port': 70000: must be at most 65535",
        "clusters/a.yaml:4: key 'scales.mode': 'udp': expected 'tcp' or 'http'",
        "clusters/a.yaml:5: key 'scales.global': 'line': expected a list: write it as [first, second]",
        "clusters/a.yaml:6: key 'scales.weight': 'heavy': expected a whole number or a number",
        "clusters/a.yaml:7: unknown key 'scales.extra'; known keys: global, mode, port, weight",
    ]


def test_a_clusters_part_is_judged_by_the_balancer_itself(tree):
    [error] = tree.errors("clusters/a.yaml", "discovery: beacon\nscales:\n  port: 666\n")
    assert error == "clusters/a.yaml:3: key 'scales.port': this port is cursed: choose another"


@pytest.mark.parametrize(("value", "told"), [("", "no value"), ("5", "5"), ("[]", "a list")])
def test_a_clusters_part_must_be_a_mapping(tree, value, told):
    [error] = tree.errors("clusters/a.yaml", f"discovery: beacon\nscales: {value}\n")
    assert error.startswith(f"clusters/a.yaml:2: key 'scales': {told}: expected a mapping of keys")


def test_a_discovery_that_does_not_exist(tree):
    [error] = tree.errors("clusters/a.yaml", "scales: {}\ndiscovery: becon\n")
    assert error == (
        "clusters/a.yaml:2: key 'discovery': 'becon': there is no file discovery/becon.yaml; did you mean 'beacon'?"
        " (known: beacon): create it, or name another"
    )


def test_a_discovery_that_is_refused_is_named_as_the_cause(tree):
    tree.write("discovery/other.yaml", "plugin: nothing\n")
    [error] = tree.errors("clusters/a.yaml", "discovery: other\nscales: {}\n")
    assert (
        error == "clusters/a.yaml:1: key 'discovery': 'other': discovery/other.yaml is refused: correct that file first"
    )


def test_a_balancer_that_is_refused_is_named_as_the_cause(tree):
    tree.write("balancers/edge.yaml", "plugin: scales\n")
    [error] = tree.errors("clusters/a.yaml", "discovery: beacon\nedge: {}\n")
    assert error == "clusters/a.yaml:2: key 'edge': balancers/edge.yaml is refused: correct that file first"


@pytest.mark.parametrize(
    ("relative", "content", "start"),
    [
        ("clusters/a b.yaml", "discovery: beacon\nscales: {}\n", "clusters/a b.yaml:1: name 'a b' may hold"),
        (
            "clusters/a.yaml",
            "name: ../x\ndiscovery: beacon\nscales: {}\n",
            "clusters/a.yaml:1: key 'name': name '../x' may",
        ),
        ("discovery/a b.yaml", "plugin: beacon\nhosts: []\n", "discovery/a b.yaml:1: name 'a b' may hold"),
    ],
)
def test_names_are_checked(tree, relative, content, start):
    [error] = tree.errors(relative, content)
    assert error.startswith(start)
    assert "rename the file" in error or error.endswith("correct it")


def test_a_file_name_cannot_write_to_a_terminal(tree):
    tree.write("clusters/\x1b[2J\n.yaml", "discovery: beacon\nscales: {}\n")
    tree.write("clusters/" + b"\xff".decode("utf-8", "surrogateescape") + ".yaml", "discovery: beacon\nscales: {}\n")
    files = tree.compile().plan.files
    assert {r"clusters/\x1b[2J\n.yaml", r"clusters/\udcff.yaml"} <= set(files)
    assert all((relative + (file.error or "")).isprintable() for relative, file in files.items())


def test_a_name_may_be_written_where_the_file_name_cannot_be_one(tree):
    tree.write("clusters/a b.yaml", "name: a.b\ndiscovery: beacon\nscales: {}\n")
    assert tree.compile().plan.clusters["a.b"] == "beacon"


# services ------------------------------------------------------------------------------------------------------------


def test_everything_that_is_wrong_with_a_service_is_told_at_once(tree):
    text = """\
        port: "80"
        ports: [1, 0, 1]
        host: "a b"
        metadata: [1]
        extra: 1
        checks:
          interval: 0
          echo:
            rise: 0
            fall: two
            phrase: 5
            loud: yes
            pharse: x
          ecko: {}
        """
    errors = tree.errors("services/a.yaml", text)
    assert errors[:9] == [
        "services/a.yaml:1: key 'discovery' is missing: name a file of discovery/",
        "services/a.yaml:1: key 'port': '80': expected a whole number: remove the quotes",
        "services/a.yaml:1: key 'port': given beside 'ports': keep one of them, 'ports' if there are several",
        "services/a.yaml:2: key 'ports[1]': 0: must be at least 1",
        "services/a.yaml:3: key 'host': 'a b': neither a host name nor an address: correct it",
        "services/a.yaml:4: key 'metadata': a list: expected a mapping of keys: write 'key: value' lines below it, or {} for none",
        "services/a.yaml:5: unknown key 'extra'; known keys: advertise, checks, discovery, flap, host, labels, metadata, name, port, ports, weight, zone",  # noqa: E501
        "services/a.yaml:7: key 'checks.interval': 0: must be at least 0.001",
        "services/a.yaml:9: key 'checks.echo.rise': 0: must be at least 1",
    ]
    assert errors[9:13] == [
        "services/a.yaml:10: key 'checks.echo.fall': 'two': expected a whole number",
        "services/a.yaml:11: key 'checks.echo.phrase': 5: expected text: put it in quotes",
        "services/a.yaml:12: key 'checks.echo.loud': 'yes': expected true or false",
        (
            "services/a.yaml:13: unknown key 'checks.echo.pharse'; did you mean 'phrase'?"
            " known keys: fall, interval, loud, phrase, rise, timeout"
        ),
    ]
    [last] = errors[13:]
    start = "services/a.yaml:14: key 'checks.ecko': no plugin 'ecko' is installed in lighthouse.checks"
    assert last.startswith(f"{start}; did you mean 'echo'? (installed: ")
    assert last.endswith("): correct the name, or install the plugin")


@pytest.mark.parametrize(
    ("lines", "errors"),
    [
        ("checks: {interval: 1}", ["1: key 'port' is missing: give 'port', or 'ports' with a list"]),
        ("ports: []\nchecks: {interval: 1}", ["1: key 'ports': a list: empty: list at least one port"]),
        ("ports: [80, 80]\nchecks: {interval: 1}", ["1: key 'ports[1]': 80: listed twice: remove one"]),
        ("port: 1", ["1: key 'checks' is missing: give an 'interval' and one key per check"]),
        ("port: 1\nchecks: {}", ["2: key 'checks.interval' is missing: seconds between two rounds of checks"]),
        (
            "port: 1\nchecks:",
            ["2: key 'checks': no value: expected a mapping of keys: give it a value, or remove the key"],
        ),
        (
            "port: 0080\nchecks: {interval: 1}",
            ["1: key 'port': '0080': expected a whole number: remove the leading zeros"],
        ),
        ("port: 1.0\nchecks: {interval: 1}", ["1: key 'port': 1.0: expected a whole number"]),
        ("port: true\nchecks: {interval: 1}", ["1: key 'port': true: expected a whole number"]),
        (
            "port: 1\nchecks: {interval: 5s}",
            ["2: key 'checks.interval': '5s': expected a number: write the number alone, without a unit"],
        ),
        (
            "port: 1\nchecks:\n  interval: 1\n  echo: {}",
            [
                "4: key 'checks.echo.rise' is missing: good results in a row that make it pass, at least 1",
                "4: key 'checks.echo.fall' is missing: bad results in a row that make it fail, at least 1",
            ],
        ),
        (
            "port: 1\nname: 5\nchecks: {interval: 1}",
            ["2: key 'name': 5: expected text: put it in quotes"],
        ),
    ],
)
def test_what_is_wrong_with_a_service(tree, lines, errors):
    told = tree.errors("services/a.yaml", f"{lines}\ndiscovery: beacon\n")
    assert sorted(told) == sorted(f"services/a.yaml:{error}" for error in errors)


@pytest.mark.parametrize(
    ("interval", "given_", "timeout"), [("5", None, 2.0), ("0.5", None, 0.5), ("5", "7", 7.0), ("1", "0.25", 0.25)]
)
def test_a_check_has_two_seconds_or_the_interval_if_that_is_shorter(tree, interval, given_, timeout):
    line = f"\n    timeout: {given_}" if given_ else ""
    tree.write(
        "services/app.yaml",
        f"port: 1\ndiscovery: beacon\nchecks:\n  interval: {interval}\n  echo:\n    rise: 1\n    fall: 1{line}\n",
    )
    [check] = tree.compile().blobs["checker/app"]["checks"]
    assert check["timeout"] == timeout
    assert check["config"] == {"phrase": "hello", "loud": False}


@pytest.mark.parametrize("host", ["::1", "10.0.0.1", "db.example.org"])
def test_hosts_that_a_check_can_connect_to(tree, host):
    tree.write("services/app.yaml", f"port: 1\nhost: '{host}'\ndiscovery: beacon\nchecks: {{interval: 1}}\n")
    assert tree.compile().blobs["checker/app"]["service"]["host"] == host


# discovery and balancers ---------------------------------------------------------------------------------------------


def test_a_plugin_file(tree):
    assert tree.errors("discovery/a.yaml", "plugin: beacon\nhosts: [1, b]\nretries: 10\nretry: 1\n") == [
        "discovery/a.yaml:2: key 'hosts[0]': 1: expected text: put it in quotes",
        "discovery/a.yaml:3: key 'retries': 10: must be at most 9",
        "discovery/a.yaml:4: unknown key 'retry'; did you mean 'retries'? known keys: hosts, password, plugin, retries",
    ]


def test_a_missing_option_is_told_with_its_help(tree):
    assert tree.errors("discovery/a.yaml", "plugin: beacon\n") == [
        "discovery/a.yaml:1: key 'hosts' is missing: addresses of the beacons"
    ]


def test_a_plugins_own_judgement_is_told_at_its_key(tree):
    assert tree.errors("discovery/a.yaml", "plugin: beacon\nhosts:\n  - nowhere\n") == [
        "discovery/a.yaml:3: key 'hosts[0]': 'nowhere' is no place: name a real host"
    ]


def test_the_name_of_an_unknown_plugin(tree):
    [error] = tree.errors("discovery/a.yaml", "hosts: []\nplugin: becon\n")
    assert error.startswith(
        "discovery/a.yaml:2: key 'plugin': no plugin 'becon' is installed in lighthouse.discovery; did you"
    )
    [error] = tree.errors("discovery/zk.yaml", "hosts: []\n")
    assert error.startswith("discovery/zk.yaml:1: no plugin 'zk' is installed in lighthouse.discovery (installed: ")
    [error] = tree.errors("discovery/b.yaml", "plugin: 5\n")
    assert error == "discovery/b.yaml:1: key 'plugin': 5: expected text: name an installed plugin, or remove the key"


def test_a_secret_is_never_shown(tree):
    [error] = tree.errors("discovery/a.yaml", "plugin: beacon\nhosts: []\npassword: 123456\n")
    assert error == "discovery/a.yaml:3: key 'password': (hidden): expected text: put it in quotes"
    assert "123456" not in repr(tree.compile())
    tree.write("discovery/a.yaml", "plugin: beacon\nhosts: []\npassword: hunter2\n")
    result = tree.compile()
    assert result.blobs["discovery/a"]["config"]["password"] == "hunter2"
    assert "hunter2" not in repr(result)


# the files at the root -----------------------------------------------------------------------------------------------


def test_lighthouse_yaml(tree):
    errors = tree.errors(
        "lighthouse.yaml",
        "hold: -1\nhostnam: x\nheartbeat:\n  interval: 0.001\n  deadlin: 3\nlogs: 5\nrestart: {burst: 1.5}\nhostname: 5\n",
    )
    assert [error for error in errors if "unknown key 'hostnam'" not in error] == [
        "lighthouse.yaml:1: key 'hold': -1: must be at least 0",
        "lighthouse.yaml:4: key 'heartbeat.interval': 0.001: must be at least 0.05",
        "lighthouse.yaml:5: unknown key 'heartbeat.deadlin'; did you mean 'deadline'? known keys: deadline, interval",
        "lighthouse.yaml:6: key 'logs': 5: expected a mapping of keys: write 'key: value' lines below it, or {} for none",
        "lighthouse.yaml:7: key 'restart.burst': 1.5: expected a whole number",
        "lighthouse.yaml:8: key 'hostname': 5: expected text: put it in quotes",
    ]
    assert any(
        error.startswith("lighthouse.yaml:2: unknown key 'hostnam'; did you mean 'hostname'?") for error in errors
    )


def test_a_value_that_contradicts_a_default_is_told_with_both(tree):
    [error] = tree.errors("lighthouse.yaml", "deadlines: {stop: 0.5}\n")
    assert error.startswith("lighthouse.yaml:1: key 'registration.farewell': 1.0: not less than deadlines.stop, 0.5")


def test_settings_have_defaults_and_reach_plan_and_workers(tree):
    assert tree.compile().plan.settings == Settings().to_mapping()
    tree.write("lighthouse.yaml", "hostname: me\nadvertise: 10.0.0.9\ninitial_wait: 7\nheartbeat:\n  interval: 2\n")
    result = tree.compile()
    assert result.plan.settings["heartbeat"] == {"interval": 2.0, "deadline": 5.0}
    assert result.blobs["discovery/beacon"]["hostname"] == "me"
    assert result.blobs["discovery/beacon"]["advertise"] == ["10.0.0.9"]
    assert result.blobs["balancer/scales"]["initial_wait"] == 7.0


def test_logging_yaml(tree):
    text = """\
        version: 1
        formatters:
          short: {format: "%(message)s"}
        filters: {}
        handlers:
          console:
            class: logging.StreamHandler
            formatter: shrot
            level: inof
          other:
            filters: [gone]
        loggers:
          a.b:
            handlers: [consle]
            lvl: 3
        root:
          level: LOUD
          handlers: [console]
        """
    assert tree.errors("logging.yaml", text) == [
        (
            "logging.yaml:8: key 'handlers.console.formatter': 'shrot': not among formatters; did you mean 'short'?"
            " (known: short): define it there"
        ),
        "logging.yaml:9: key 'handlers.console.level': 'inof': not a level; did you mean 'INFO'?",
        "logging.yaml:10: key 'handlers.other.class' is missing: name the handler's class",
        "logging.yaml:11: key 'handlers.other.filters[0]': 'gone': not among filters (known: none): define it there",
        "logging.yaml:15: unknown key 'loggers.a.b.lvl'; did you mean 'level'? known keys: filters, handlers, level, propagate",
        "logging.yaml:17: key 'root.level': 'LOUD': not a level: write for example INFO",
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("root: {}\n", "logging.yaml:1: key 'version' is missing: write 'version: 1'"),
        ("version: 2\n", "logging.yaml:1: key 'version': 2: expected 1"),
        ("version: 1\nhandler: {}\n", "logging.yaml:2: unknown key 'handler'; did you mean 'handlers'? known keys: "),
        ("version: 1\nhandlers: {a: 5}\n", "logging.yaml:2: key 'handlers.a': 5: expected a mapping of keys"),
        ("version: 1\nhandlers: []\n", "logging.yaml:2: key 'handlers': a list: expected a mapping of keys"),
    ],
)
def test_what_is_wrong_with_logging(tree, text, error):
    [told] = tree.errors("logging.yaml", text)
    assert told.startswith(error)


def test_logging_reaches_every_worker_as_written(tree, tmp_path):
    target = tmp_path / "never.log"
    tree.write(
        "logging.yaml",
        f"version: 1\nhandlers:\n  f: {{class: logging.FileHandler, filename: {target}}}\n"
        "root:\n  level: 20\n  handlers: [f]\n  propagate: true\npropagate: false\n",
    )
    blobs = tree.compile().blobs
    assert {blob["logging"]["root"]["level"] for blob in blobs.values()} == {20}
    assert blobs["checker/app"]["logging"]["handlers"]["f"]["filename"] == str(target)
    assert not target.exists()


def test_unknown_files_at_the_root(tree):
    tree.write("README.txt", "x")
    tree.write("notes.yml", "a: 1\n")
    tree.write("logging.yml", "version: 1\n")
    tree.write("logging.yaml", "version: 1\n")
    files = tree.compile().plan.files
    assert files["notes.yml"].error == (
        "notes.yml: unknown file: expected logging.yaml, lighthouse.yaml or a file in one of"
        " discovery/, balancers/, clusters/, services/"
    )
    assert files["logging.yaml"].state.value == "ok"
    assert files["logging.yml"].error == (
        "logging.yml:1: base name 'logging' is that of logging.yaml too, which is in force: remove one, or give it another"
    )
    assert "README.txt" not in files


# bytes ---------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_utf_8(tree):
    assert tree.errors("clusters/a.yaml", b"a: 1\nb: \xff\n") == [
        "clusters/a.yaml:2: byte 0xff is not UTF-8: save the file as UTF-8"
    ]


def test_broken_syntax_is_told_with_line_column_and_snippet(tree):
    assert tree.errors("clusters/a.yaml", "a: 1\nb: c: d\n") == [
        (
            "clusters/a.yaml:2:5: mapping values are not allowed in this context: in the line 'b: c: d';"
            " indent it like the keys beside it, and quote a value that contains ': '"
        )
    ]


def test_an_empty_file(tree):
    assert tree.errors("clusters/a.yaml", "") == ["clusters/a.yaml:1:1: the file is empty: fill it or remove it"]


def test_what_is_too_large_deep_or_many_costs_only_its_file(tree):
    bomb = "\n".join(["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)])
    tree.write("clusters/bomb.yaml", bomb)
    tree.write("clusters/deep.yaml", "a: " + "[" * 100_000)
    tree.write("clusters/large.yaml", "#" * (1024 * 1024 + 1))
    result = tree.compile()
    assert result.plan.clusters == {"web": "beacon"}
    errors = {path: file.error for path, file in result.plan.files.items() if file.error}
    assert "aliases unfolded" in errors["clusters/bomb.yaml"]
    assert "nested more than 64 deep" in errors["clusters/deep.yaml"]
    assert errors["clusters/large.yaml"] == "clusters/large.yaml: larger than 1048576 bytes: split it"


def test_very_many_problems_are_cut_short(tree):
    errors = tree.errors(
        "clusters/a.yaml", "discovery: beacon\nscales: {}\n" + "".join(f"k{n}: 1\n" for n in range(50))
    )
    assert len(errors) == 21
    assert errors[-1] == "clusters/a.yaml: and 30 more"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@example(relative="lighthouse.yaml", content=b"{}")
@given(
    relative=st.sampled_from(
        [
            "logging.yaml",
            "lighthouse.yaml",
            "discovery/x.yaml",
            "balancers/x.yaml",
            "clusters/x.yaml",
            "services/x.yaml",
        ]
    ),
    content=st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "ignore"))
    | st.text("abc:-[]{}&*!|>'\"#%@, \n\t0", max_size=60).map(str.encode),
)
def test_random_bytes_cost_only_their_file(tree, relative, content):
    tree.write(relative, content)
    result = tree.compile()
    state = result.plan.files[relative].state.value
    tree.remove(relative)
    assert state == "refused" or (relative == "lighthouse.yaml" and parse(content.decode()).data == {})
    assert {"discovery/beacon", "balancer/scales", "checker/app"} == set(result.plan.workers)


# what a service announces ----------------------------------------------------------------------------------------------------


SERVICE = "discovery: beacon\nport: 8000\nchecks: {interval: 1}\n"


def test_weight_labels_and_zone_are_announced_in_the_metadata(tree):
    tree.write("lighthouse.yaml", "zone: eu-1a\nadvertise: [eth0, 10.0.0.0/8]\n")
    tree.write("services/a.yaml", SERVICE + "weight: 10\nlabels: {tier: gold}\nmetadata: {rack: 7}\n")
    tree.write("services/b.yaml", SERVICE + "zone: eu-1b\nadvertise: inet6\n")
    blob = tree.compile().blobs["discovery/beacon"]
    assert blob["advertise"] == ["eth0", "10.0.0.0/8"]
    made = {item["name"]: item for item in blob["services"]}
    a, b = made["a"], made["b"]
    assert a["metadata"] == {"rack": 7, "weight": 10, "labels": {"tier": "gold"}, "zone": "eu-1a"}
    assert b["metadata"] == {"zone": "eu-1b"}
    assert (a["advertise"], b["advertise"]) == ([], ["inet6"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("weight: 257\n", "services/a.yaml:4: key 'weight': 257: must be at most 256"),
        ("weight: 1\nmetadata: {weight: 2}\n", "services/a.yaml:5: key 'metadata.weight': given beside 'weight'"),
        ("labels: {tier: 'a b'}\n", "services/a.yaml:4: key 'labels.tier': 'a b' may hold letters"),
        ("labels: {'a b': c}\n", "services/a.yaml:4: key 'labels.a b': 'a b' may hold letters"),
        ("zone: ''\n", "services/a.yaml:4: key 'zone': '' may hold letters"),
        ("advertise: [eth0, 0.0.0.0]\n", "services/a.yaml:4: key 'advertise[1]': '0.0.0.0': no address of one host"),
        ("advertise: []\n", "services/a.yaml:4: key 'advertise': a list: empty"),
        (
            "advertise: web.example.net.example\n",
            "services/a.yaml:4: key 'advertise': 'web.example.net.example': neither",
        ),
    ],
)
def test_what_cannot_be_announced_is_refused_with_its_place(tree, text, told):
    errors = tree.errors("services/a.yaml", SERVICE + text)
    assert [error for error in errors if error.startswith(told)], errors


# which members a cluster uses ------------------------------------------------------------------------------------------------

CLUSTER = "discovery: beacon\nscales: {port: 80}\n"


def test_a_cluster_selects_by_labels_and_zone_and_has_default_nodes(tree):
    tree.write("lighthouse.yaml", "zone: eu-1a\n")
    tree.write("clusters/one.yaml", CLUSTER + "filter: {tier: gold, version: ['1', '2']}\nzone: {minimum: 3}\n")
    tree.write("clusters/two.yaml", CLUSTER + "zone: {prefer: [x, y]}\n")
    nodes = "default_nodes: ['[2001:db8::1]:80', {ip: 192.0.2.1, port: 81, host: a}]\n"
    tree.write("clusters/three.yaml", CLUSTER + nodes)
    found = {item["name"]: item for item in tree.compile().blobs["balancer/scales"]["clusters"]}
    assert found["one"]["selection"] == {
        "labels": {"tier": ["gold"], "version": ["1", "2"]},
        "zones": ["eu-1a"],
        "minimum": 3,
    }
    assert found["two"]["selection"] == {"labels": {}, "zones": ["x", "y"], "minimum": 1}
    assert [(node["host"], node["ip"], node["port"]) for node in found["three"]["default_nodes"]] == [
        ("2001:db8::1", "2001:db8::1", 80),
        ("a", "192.0.2.1", 81),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("filter: {tier: []}\n", "clusters/a.yaml:3: key 'filter.tier': a list: empty"),
        ("filter: {tier: 'a b'}\n", "clusters/a.yaml:3: key 'filter.tier': 'a b' may hold"),
        ("filter: {tier: 5}\n", "clusters/a.yaml:3: key 'filter.tier': 5: expected text or a list: put it in quotes"),
        ("zone: {minimum: 0}\n", "clusters/a.yaml:3: key 'zone.minimum': 0: must be at least 1"),
        ("zone: eu\n", "clusters/a.yaml:3: key 'zone': 'eu': expected a mapping of keys"),
        ("default_nodes: ['web:80']\n", "clusters/a.yaml:3: key 'default_nodes[0]': ip 'web' is not an address"),
        ("default_nodes: [192.0.2.1]\n", "clusters/a.yaml:3: key 'default_nodes[0]': "),
        (f"default_nodes: ['192.0.2.1:{'9' * 5000}']\n", "clusters/a.yaml:3: key 'default_nodes[0]': port '99"),
        ("default_nodes: []\n", "clusters/a.yaml:3: key 'default_nodes': empty"),
        (
            "default_nodes: ['192.0.2.1:80', '192.0.2.1:80']\n",
            "clusters/a.yaml:3: key 'default_nodes[1]': '192.0.2.1:80' is listed twice",
        ),
    ],
)
def test_a_selection_that_cannot_be_is_refused_with_its_place(tree, text, told):
    errors = tree.errors("clusters/a.yaml", CLUSTER + text)
    assert [error for error in errors if error.startswith(told)], errors
