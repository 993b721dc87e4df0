"""A configuration directory under test: files are written, compiled, and what was in force is carried on as a supervisor would."""

import textwrap

from lighthouse.config.compiler import compile_directory
from lighthouse.config.lastgood import LastGood
from lighthouse.role import Role

GOOD = {
    "discovery/beacon.yaml": "hosts: [one]\n",
    "balancers/scales.yaml": "file: /run/scales\n",
    "clusters/web.yaml": "discovery: beacon\nscales:\n  port: 80\n",
    "services/app.yaml": "port: 8000\ndiscovery: beacon\nchecks:\n  interval: 5\n  echo:\n    rise: 2\n    fall: 3\n",
}


class Directory:
    """Wraps a path; `steps` are the calls of `progress` during the last compilation."""

    def __init__(self, path, files=GOOD):
        self.path = path
        self.good = LastGood()
        self.steps = []
        for folder in ("discovery", "balancers", "clusters", "services"):
            (path / folder).mkdir(parents=True)
        for relative, text in files.items():
            self.write(relative, text)

    def write(self, relative, content):
        path = self.path / relative
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(textwrap.dedent(content))

    def remove(self, relative):
        (self.path / relative).unlink()

    def forget(self, *relatives):
        """The last good versions of some files are lost."""
        self.good = LastGood({path: kept for path, kept in self.good.versions.items() if path not in relatives})

    def compile(self, role=Role.ALL, poisoned=None):
        self.steps = []
        result = compile_directory(
            self.path,
            role,
            good=self.good,
            poisoned=poisoned or {},
            progress=lambda path, digest: self.steps.append((path, digest)),
        )
        self.good = result.good
        return result

    def state(self, relative, **kwargs):
        return self.compile(**kwargs).plan.files[relative].state.value

    def errors(self, relative, content):
        """What is told of a new file with that content, line by line; it must be refused."""
        self.write(relative, content)
        file = self.compile().plan.files[relative]
        assert file.state.value == "refused", file
        return file.error.splitlines()
