"""A private certificate authority, made with openssl."""

import ssl
import subprocess


class Authority:
    """Signs certificates; every file is PEM in `folder`."""

    def __init__(self, folder):
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        self._key("ca")
        self._openssl(
            "req", "-x509", "-new", "-key", self.key_file("ca"), "-out", self.ca_file, "-days", "2", "-subj", "/CN=Test CA",
            "-addext", "keyUsage=critical,keyCertSign",
        )  # fmt: skip

    def key_file(self, name):
        return self.folder / f"{name}.key"

    def certificate(self, name, *, names="IP:127.0.0.1"):
        """The file of a new certificate for these names; its key is `key_file(name)`."""
        self._key(name)
        request, out, extensions = (self.folder / f"{name}.{end}" for end in ("csr", "pem", "ext"))
        extensions.write_text(f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")
        self._openssl("req", "-new", "-key", self.key_file(name), "-out", request, "-subj", f"/CN={name}")
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.ca_file, "-CAkey", self.key_file("ca"), "-CAcreateserial",
            "-days", "2", "-extfile", extensions, "-out", out,
        )  # fmt: skip
        return out

    def server(self, name, *, clients=False, **options):
        """A server's context; with `clients` it takes only those that have a certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate(name, **options), self.key_file(name))
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca_file)
        return context

    def _key(self, name):
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key_file(name))

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
