"""From one version of one file to its product, or to the reasons for its refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256

from lighthouse.config import kinds, rootfiles, services
from lighthouse.config.document import parse
from lighthouse.config.judge import Judge
from lighthouse.config.plugins import Plugins
from lighthouse.config.problems import Problems, RefusedError
from lighthouse.config.syntax import DocumentError
from lighthouse.config.text import failure
from lighthouse.config.tree import Kind, Source
from lighthouse.config.unit import Product, References, Unit

_COMPILERS: Mapping[Kind, Callable[[Unit], Product | None]] = {
    Kind.LOGGING: rootfiles.logging_file,
    Kind.SETTINGS: rootfiles.settings_file,
    Kind.DISCOVERY: kinds.discovery_file,
    Kind.BALANCER: kinds.balancer_file,
    Kind.CLUSTER: kinds.cluster_file,
    Kind.SERVICE: services.service_file,
}


class Reader:
    """Reads versions of files; `references` grows as the caller decides what is in force."""

    def __init__(self, poisoned: Mapping[str, Mapping[str, str]], progress: Callable[[str, str], None]) -> None:
        self.references = References()
        self._poisoned = poisoned
        self._progress = progress
        self._judge = Judge(Plugins(progress, poisoned))

    def read(self, kind: Kind, source: Source, content: bytes, *, strict: bool) -> Product:
        """Compile one version; `strict` as for `Unit`. Raises `RefusedError`, and nothing else for anything in the file."""
        digest = sha256(content).hexdigest()
        if poison := self._poisoned.get(source.relative, {}).get(digest):
            text = (
                f"{source.relative}: not read again, since it ended an earlier compilation: {poison}: change the file"
            )
            raise RefusedError(text, broken=True)
        self._progress(source.relative, digest)
        try:
            return self._compiled(kind, source, content, digest, strict)
        except RefusedError:
            raise
        except Exception as error:  # a fault of ours costs this file only, and what was in force by it stays
            text = f"{source.relative}: cannot be compiled: {failure(error)}: report this as a fault of Lighthouse"
            raise RefusedError(text, broken=True) from error

    def _compiled(self, kind: Kind, source: Source, content: bytes, digest: str, strict: bool) -> Product:
        try:
            document = parse(_decoded(source.relative, content))
        except DocumentError as error:
            raise RefusedError(f"{source.relative}:{error.line}:{error.column}: {error}") from None
        problems = Problems(source.relative, document)
        unit = Unit(
            stem=source.stem,
            document=document,
            problems=problems,
            judge=self._judge,
            references=self.references,
            strict=strict,
            validating=lambda: self._progress(source.relative, digest),
        )
        product = _COMPILERS[kind](unit)
        problems.raise_any()
        if product is None:
            raise RuntimeError("neither a product nor a problem")
        return product


def _decoded(relative: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        text = f"byte 0x{content[error.start]:02x} is not UTF-8: save the file as UTF-8"
        raise RefusedError(f"{relative}:{line}: {text}") from None
