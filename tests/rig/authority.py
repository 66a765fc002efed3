"""Certificates made with the openssl command line, as users of the platform make them."""

import hashlib
import itertools
import secrets
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

KEYS = {
    "ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ec384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
    "ed25519": ["-algorithm", "ED25519"],
}


def openssl(*arguments, **options) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, f"openssl {' '.join(map(str, arguments))}: {done.stderr}"
    return done.stdout


@dataclass
class Certificate:
    """A certificate with its private key; `chain` is the file that a device sends: its own certificate and others."""

    cert: Path
    key: Path
    chain: Path | None = None

    @property
    def pem(self) -> str:
        return openssl("x509", "-in", self.cert)

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.pem)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.der).hexdigest()

    @property
    def sha1(self) -> str:
        return hashlib.sha1(self.der).hexdigest()

    def context(self, ca_cert: str) -> ssl.SSLContext:
        """For a client that shows this certificate."""
        context = ssl.create_default_context(cafile=ca_cert)
        # Security level 0, so that it is the platform that refuses what is of the past, not this client.
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(self.chain or self.cert, self.key)
        return context


class Authority:
    """A CA. `above` signs it; without it, it signs itself."""

    def __init__(self, folder: Path, name: str | None = None, key="ec", days=3650, above: "Authority | None" = None,
                 extensions=("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"),
                 subject: str | None = None):
        self.folder = folder / f"ca_{secrets.token_hex(4)}"
        self.folder.mkdir(parents=True)
        self._numbers = itertools.count(1)
        self.name = name or f"ca {secrets.token_hex(4)}"
        subject = subject or f"/C=CN/O=Makers/CN={self.name}"
        self.own = Certificate(self.folder / "ca.pem", self.folder / "ca.key")
        openssl("genpkey", *KEYS[key], "-out", self.own.key)
        if above is None:
            more = [part for extension in extensions for part in ("-addext", extension)]
            openssl("req", "-x509", "-utf8", "-new", "-key", self.own.key, "-subj", subject, "-days", days, "-config",
                    self._config(), *more, "-out", self.own.cert)
        else:
            self.own = above.issue(subject, key=key, days=days, extensions=extensions)

    def _config(self) -> Path:
        """No extensions but those that are asked for."""
        path = self.folder / "openssl.cnf"
        path.write_text("[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=unused\n")
        return path

    @property
    def pem(self) -> str:
        return self.own.pem

    def issue(self, subject: str, key="ec", days=365, extensions=("basicConstraints=CA:FALSE",), digest="sha256",
              chain: "tuple[Authority, ...]" = ()) -> Certificate:
        """A certificate for `subject`, which is `/CN=…` or a bare common name."""
        if not subject.startswith("/"):
            subject = f"/CN={subject}"
        number = next(self._numbers)
        made = Certificate(self.folder / f"{number}.pem", self.folder / f"{number}.key")
        openssl("genpkey", *KEYS[key], "-out", made.key)
        request = self.folder / f"{number}.csr"
        openssl("req", "-utf8", "-new", "-key", made.key, "-subj", subject, "-config", self._config(), "-out", request)
        arguments = ["x509", "-req", "-in", request, "-CA", self.own.cert, "-CAkey", self.own.key, "-days", days,
                     f"-{digest}", "-set_serial", str(secrets.randbits(64)), "-out", made.cert]
        if extensions:
            file = self.folder / f"{number}.ext"
            file.write_text("\n".join(extensions) + "\n")
            arguments += ["-extfile", file]
        openssl(*arguments)
        if chain:
            made.chain = self.folder / f"{number}.chain.pem"
            made.chain.write_text(made.pem + "".join(authority.pem for authority in chain))
        return made

    def verification(self, code: str, **more) -> str:
        """The PEM that proves possession of the private key."""
        return self.issue(code, **more).pem
