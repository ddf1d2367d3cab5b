"""The key by which a coordinator knows a courier: ECDSA on P-384, in the formats that Flower demands."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bandung.federation.training.durable import write_atomically


@dataclass(frozen=True)
class NodeKeyPair:
    """The two files of a node key: private in OpenSSH's format, public in PEM."""

    private: Path
    public: Path


class NodeKeyError(ValueError):
    """A file does not hold an unencrypted P-384 private key."""


def create_node_key(directory: Path, name: str = "node") -> NodeKeyPair:
    """Make a node key: `<name>.key` (mode 0600) and `<name>.pub` in `directory`.

    The `.pub` file goes to the coordinator's `nodes/<member>.pub`.

    Raises:
        FileExistsError: There is a key already; it is never replaced.
    """
    pair = NodeKeyPair(directory / f"{name}.key", directory / f"{name}.pub")
    if pair.private.exists():
        raise FileExistsError(pair.private)
    key = ec.generate_private_key(ec.SECP384R1())
    write_atomically(pair.private, _private(key), mode=0o600)
    write_atomically(pair.public, public_pem(key), mode=0o644)
    return pair


def load_node_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a node's private key.

    Raises:
        NodeKeyError: It is not a P-384 key, or encrypted.
    """
    try:
        key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise NodeKeyError(f"{path}: not an unencrypted private key in OpenSSH's format") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise NodeKeyError(f"{path}: not a key on P-384")
    return key


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public half, byte for byte as Flower sends it."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    # A stock SuperNode reads this format and no other.
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
