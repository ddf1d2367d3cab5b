"""The job file that an author writes (TOML), and the envelope that the author signs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Final, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bandung.gateway.client.jobs import BadJob, Job, job_from_document, signing_payload, write_envelope

_DEFAULTS: Final[Mapping[str, Any]] = {
    "rounds_max": 25,
    "tolerance": 1e-8,
    "cohort_min": 2,
    "country_intercepts": False,
    "holdout": 0.0,
    "train_units": {},
    "on_loss": "pause",
}


class JobFileError(ValueError):
    """A job file cannot be used.

    Attributes:
        problems: all that is wrong, one short sentence each.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read_job(text: str, author: str, created: str) -> Job:
    """Read a job file.

    The file has the fields of `Job`, terms written as `x`, `log(x)`, `square(x)` or `x=code`, and a table `datasets`
    whose keys are the members. `author` and `created` are not in the file: they belong to the act of signing.

    Args:
        author: URI of who will sign.
        created: RFC 3339 date-time, UTC.

    Raises:
        JobFileError: listing every problem at once.
    """
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise JobFileError((f"not TOML: {error}",)) from error
    reserved = sorted({"author", "created", "members"} & fields.keys())
    if reserved:
        raise JobFileError(tuple(f"{key}: not for the file; signing adds it" for key in reserved))
    datasets = fields.get("datasets")
    members = sorted(cast("dict[str, object]", datasets)) if isinstance(datasets, dict) else []
    document = {**_DEFAULTS, **fields, "members": members, "author": author, "created": created}
    try:
        return job_from_document(document)
    except BadJob as error:
        raise JobFileError(error.problems) from error


def sign(job: Job, certificate_pem: bytes, key_pem: bytes) -> bytes:
    """Return the signed envelope of a job.

    Args:
        certificate_pem: chain, the author's own certificate first.
        key_pem: its elliptic-curve private key, unencrypted.

    Raises:
        JobFileError: the certificate does not name the author, or the key is not its key.
    """
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    key = load_pem_private_key(key_pem, None)
    if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise JobFileError(("the key is not the elliptic-curve key of the certificate",))
    if job.author != certificate_uri(certificate_pem):
        raise JobFileError((f"the certificate does not name {job.author}",))
    return write_envelope(job, certificate_pem, key.sign(signing_payload(job), ECDSA(SHA256())))


def certificate_uri(certificate_pem: bytes) -> str:
    """Return the one URI that a certificate names: the author of what its key signs.

    Raises:
        JobFileError: it names none, or several.
    """
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise JobFileError(("the certificate does not name exactly one URI",))
    return uris[0]
