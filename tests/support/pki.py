"""Countries with their authorities, and certificates of principals, as files."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from bandung.gateway.pki.authority import Credential, create_authority, issue, revoke
from bandung.gateway.store.system import SystemClock

LOOPBACK = ("localhost", "127.0.0.1")


def real_now() -> dt.datetime:
    """The machine's time; certificates are checked by the TLS stack too."""
    return dt.datetime.fromisoformat(SystemClock().now())


@dataclass(frozen=True)
class Files:
    """Certificate and key of one principal."""

    certificate: Path
    key: Path


class Country:
    """A certificate authority and what it signs."""

    def __init__(self, directory: Path, member: str, *, constrained: bool = True) -> None:
        self.directory = directory
        self.member = member
        self.trust_domain = f"{member.lower()}.bandung.example"
        self.authority: Credential = create_authority(member, real_now(), self.trust_domain if constrained else None)
        directory.mkdir(parents=True, exist_ok=True)
        self.ca = directory / "ca.pem"
        self.ca.write_bytes(self.authority.certificate)

    def uri(self, path: str) -> str:
        return f"spiffe://{self.trust_domain}/{path}"

    def issue(
        self,
        path: str,
        *,
        uri: str | None = None,
        hosts: tuple[str, ...] = (),
        issued: dt.datetime | None = None,
        days: int = 1,
    ) -> Files:
        """A certificate for `spiffe://<domain>/<path>`, or for any other URI."""
        made = issue(self.authority, uri or self.uri(path), issued or real_now(), days, hosts)
        stem = path.replace("/", "-")
        files = Files(self.directory / f"{stem}.pem", self.directory / f"{stem}.key")
        files.certificate.write_bytes(made.certificate)
        files.key.write_bytes(made.key)
        return files

    def revoke(self, files: Files, crl: Path) -> None:
        """Add the certificate to a revocation list."""
        known = crl.read_bytes() if crl.exists() else None
        crl.write_bytes(revoke(self.authority, files.certificate.read_bytes(), known, real_now()))
