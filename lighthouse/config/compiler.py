"""From a configuration directory to the plan and to each worker's configuration.

For every file the rule is the same. Its current text is in force if it is accepted; else the last text that was, and the
file is HELD; else nothing is, and it is REFUSED. A deleted file is gone, unless something in force needs it (`deleted`); and a
subdirectory that is missing altogether holds its files: that is far more often a mount that failed than a wish to serve nothing.
Whatever a file does costs that file only.

Files are taken in the order of their names, and the first to use a base name or a name has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from lighthouse.config import tree, watch
from lighthouse.config.blobs import InForce, blobs, specs
from lighthouse.config.deleted import DELETED, deleted, still_used, users
from lighthouse.config.lastgood import LastGood, Version
from lighthouse.config.problems import RefusedError
from lighthouse.config.reading import Reader
from lighthouse.config.tree import AT_ROOT, IN_FOLDERS, Kind, Source, UnreadableError, fingerprint
from lighthouse.config.unit import Product
from lighthouse.identity import shown
from lighthouse.plan import File, FileState, Plan, ServicePlan
from lighthouse.role import Role
from lighthouse.settings import Settings

__all__ = ["Compiled", "compile_directory", "fingerprint"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """The plan, the configuration of each worker by its id, and the versions that are now in force."""

    plan: Plan
    blobs: Mapping[str, Mapping[str, Any]] = field(repr=False)
    good: LastGood


def compile_directory(
    directory: Path,
    role: Role,
    *,
    good: LastGood,
    poisoned: Mapping[str, Mapping[str, str]],
    progress: Callable[[str, str], None],
) -> Compiled:
    """Compile. Raises `lighthouse.errors.ConfigError` when the directory itself cannot be read; no file makes it raise.

    `poisoned` gives, for what ended earlier compilations, the digests it had and the reasons: while it has one of them it is not
    tried again. `progress` is told the same pair before each step that could end this one: a file's relative path and the SHA-256
    of its content, or ``plugin:<group>/<name>`` and a digest of its version.
    """
    seen = fingerprint(directory)  # before reading: what changes meanwhile makes a difference next time
    return _Compilation(directory, role, good, poisoned, progress).run(seen)


class _Compilation:
    """One compilation; its attributes fill up as the files are taken."""

    def __init__(
        self,
        directory: Path,
        role: Role,
        good: LastGood,
        poisoned: Mapping[str, Mapping[str, str]],
        progress: Callable[[str, str], None],
    ) -> None:
        self._directory = directory
        self._good = good
        skipped = {Kind.SERVICE: role.reports, Kind.CLUSTER: role.writes, Kind.BALANCER: role.writes}
        self._folders = [kind for kind in IN_FOLDERS if skipped.get(kind, True)]
        self._reader = Reader(poisoned, progress)
        self._objects: dict[Kind, dict[str, dict[str, Any]]] = {kind: {} for kind in Kind}
        self._owners: dict[tuple[Kind, str, str], str] = {}
        self._files: dict[str, File] = {}
        self._versions: dict[str, Version] = {}
        self._paths: list[Path] = []
        self._deleted: dict[tuple[Kind, str], str] = {}
        self._there: set[str] = set()

    def run(self, seen: str) -> Compiled:
        self._take_root()
        for kind in self._folders:
            self._take_folder(kind)
        self._part_from_deleted()
        self._keep_unread()
        force = self._force()
        configs = blobs(force)
        plan = Plan(
            workers=specs(configs),
            clusters={name: item["discovery"] for name, item in sorted(force.clusters.items())},
            services={
                name: ServicePlan(item["service"]["discovery"], tuple(item["service"]["ports"]))
                for name, item in sorted(force.services.items())
            },
            files=dict(sorted(self._files.items())),
            watch=watch.directories(self._directory, [kind.value for kind in self._folders], self._paths),
            fingerprint=seen,
            settings=force.settings,
        )
        return Compiled(plan, configs, LastGood(self._versions))

    def _force(self) -> InForce:
        objects = self._objects
        return InForce(
            logging=objects[Kind.LOGGING].get("logging"),
            settings=objects[Kind.SETTINGS].get("lighthouse", Settings().to_mapping()),
            discoveries=objects[Kind.DISCOVERY],
            balancers=objects[Kind.BALANCER],
            clusters=objects[Kind.CLUSTER],
            services=objects[Kind.SERVICE],
        )

    def _take_root(self) -> None:
        known = {kind.value: kind for kind in AT_ROOT}
        sources = tree.root_files(self._directory)
        self._there.update(source.relative for source in sources)
        for source in sources:
            if source.stem in known:
                self._take(known[source.stem], source)
                continue
            folders = ", ".join(f"{kind.value}/" for kind in IN_FOLDERS)
            text = (
                f"{source.relative}: unknown file: expected logging.yaml, lighthouse.yaml or a file in one of {folders}"
            )
            self._files[source.relative] = File(FileState.REFUSED, text)

    def _take_folder(self, kind: Kind) -> None:
        try:
            sources = tree.folder_files(self._directory, kind)
        except UnreadableError as error:
            for relative in sorted(self._good.versions):
                if PurePosixPath(relative).parts[0] == kind.value:
                    self._hold(kind, _known(self._directory, relative), f"{relative}: {error}")
            return
        self._there.update(source.relative for source in sources)
        for source in sources:
            self._take(kind, source)
        for relative in deleted(kind, self._good.versions, sources):
            source = _known(self._directory, relative)
            self._hold(kind, source, f"{relative}: {DELETED}")
            self._deleted[kind, source.stem] = relative

    def _part_from_deleted(self) -> None:
        """What was deleted goes, unless it is needed: then it stays in force, and whoever needs it is named."""
        for (kind, name), relative in self._deleted.items():
            file = self._files.pop(relative)
            if file.state is FileState.REFUSED:
                continue
            if found := users(kind, name, self._objects, self._deleted):
                files = sorted(self._owners[other, "name", key] for other, key in found)
                self._files[relative] = File(file.state, still_used(relative, files))
            else:
                del self._objects[kind][name], self._versions[relative]

    def _take(self, kind: Kind, source: Source) -> None:
        """Decide what is in force for one file that is there."""
        self._paths.append(source.path)
        try:
            content = tree.read(source.path)
        except UnreadableError as error:
            self._hold(kind, source, f"{source.relative}: {error}")
            return
        if content is None:
            return
        try:
            product = self._read(kind, source, content, strict=True)
        except RefusedError as error:
            self._hold(kind, source, str(error))
        else:
            self._accept(kind, source, content.decode(), product, File(FileState.OK))

    def _hold(self, kind: Kind, source: Source, error: str) -> None:
        """The current text is refused for `error`, or out of reach: go back to the last good one."""
        version = self._good.version(source.relative, self._there)
        if version is None:
            self._refuse(kind, source, error)
            return
        try:
            product = self._recompiled(kind, source, version)
        except RefusedError as again:
            second = f"\nits last good version is refused too: {again}" if str(again) != error else ""
            self._refuse(kind, source, error + second)
        else:
            self._accept(kind, source, version.text, product, File(FileState.HELD, error))

    def _recompiled(self, kind: Kind, source: Source, version: Version) -> Product:
        """The last good text again; in the form it was compiled to then, if only plugins stand against it."""
        try:
            return self._read(kind, source, version.text.encode(), strict=False)
        except RefusedError as error:
            if not error.broken or version.compiled is None:
                raise
        product = Product(version.name, version.compiled)
        self._check_owners(kind, source, product)
        return product

    def _accept(self, kind: Kind, source: Source, text: str, product: Product, file: File) -> None:
        self._files[source.relative] = file
        self._versions[source.relative] = Version(text, product.name, product.data)
        self._objects[kind][product.name] = product.data
        self._owners[kind, "base name", source.stem] = source.relative
        self._owners[kind, "name", product.name] = source.relative
        self._refer(kind, product.name, product.data.get("plugin"))

    def _refuse(self, kind: Kind, source: Source, error: str) -> None:
        self._files[source.relative] = File(FileState.REFUSED, error)
        if source.stem not in self._objects[kind]:
            self._refer(kind, source.stem, None)

    def _refer(self, kind: Kind, name: str, plugin: str | None) -> None:
        if kind is Kind.DISCOVERY:
            self._reader.references.discoveries[name] = plugin
        elif kind is Kind.BALANCER:
            self._reader.references.balancers[name] = plugin

    def _read(self, kind: Kind, source: Source, content: bytes, *, strict: bool) -> Product:
        product = self._reader.read(kind, source, content, strict=strict)
        self._check_owners(kind, source, product)
        return product

    def _check_owners(self, kind: Kind, source: Source, product: Product) -> None:
        for what, value in (("base name", source.stem), ("name", product.name)):
            owner = self._owners.get((kind, what, value))
            if owner is not None and owner != source.relative:
                text = (
                    f"{what} {shown(value)} is that of {owner} too, which is in force: remove one, or give it another"
                )
                raise RefusedError(f"{source.relative}:{product.line}: {text}")

    def _keep_unread(self) -> None:
        """What another role had in force stays known for it."""
        folders = {kind.value for kind in self._folders}
        for relative, version in self._good.versions.items():
            parts = PurePosixPath(relative).parts
            if len(parts) > 1 and parts[0] not in folders:
                self._versions[relative] = version


def _known(directory: Path, relative: str) -> Source:
    return Source(relative, PurePosixPath(relative).stem, directory / relative)
