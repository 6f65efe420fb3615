"""Certificates that sign themselves, for this machine only: the gateway's, and etcd's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.secrets import write_private

# The longest that browsers accept for a certificate nobody else has signed.
VALID_DAYS = 825
_RENEW_DAYS = 30
# etcd and its clients show each other the same one.
_USAGES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


def ensure_certificate(certificate: Path, key: Path) -> None:
    """Make certificate and key unless there are some that stay valid for another month."""
    if key.exists() and _stays_valid(certificate):
        return
    private_key = ec.generate_private_key(ec.SECP256R1())
    pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(key, pem.decode())
    signed = _self_signed(private_key).public_bytes(serialization.Encoding.PEM)
    write_private(certificate, signed.decode())
    certificate.chmod(0o644)


def _stays_valid(certificate: Path) -> bool:
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return False
    return loaded.not_valid_after_utc > datetime.now(UTC) + timedelta(days=_RENEW_DAYS)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("localhost"),
            x509.IPAddress(ip_address("127.0.0.1")),
            x509.IPAddress(ip_address("::1")),
        ]
    )
    # A clock that was a little ahead when the certificate was made must not make it invalid.
    now = datetime.now(UTC) - timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USAGES), critical=False)
        .sign(key, hashes.SHA256())
    )
