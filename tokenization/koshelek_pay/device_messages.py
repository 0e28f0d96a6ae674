"""What goes between a device and us: keys sealed to the device's key, and requests signed by it.

The device has one key pair on P-256. Its private half never leaves it; an attestation says so, if there is one.
Source: RFC 7516 and 7518 (ECDH-ES+A256KW, A256GCM), RFC 7515 (ES256), RFC 7638 (thumbprint).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from tokenization.koshelek_pay.errors import DeviceKeyRefused, DeviceSignatureRefused

ALGORITHMS = ["ECDH-ES+A256KW", "A256GCM"]
FRESH = timedelta(minutes=5)
"""How far the device's clock may be off."""
SIGNED_CHARACTERS_MAX = 2_048
_REQUEST_ID = re.compile(r"[0-9A-Za-z_-]{16,64}")
_COORDINATE = re.compile(r"[0-9A-Za-z_-]{43}")


@dataclass(frozen=True, slots=True)
class DeviceKeyRequest:
    """A device asks for keys."""

    request_id: str
    """The device's own name of it: the same name is the same keys."""
    discard: bool
    """The device has lost count of its keys: those it has are taken back first."""


def checked_jwk(jwk: Mapping[str, Any]) -> dict[str, str]:
    """The public key of a device, and nothing else of it. Raises: DeviceKeyRefused."""
    found = {name: jwk.get(name) for name in ("kty", "crv", "x", "y")}
    if "d" in jwk or (found["kty"], found["crv"]) != ("EC", "P-256"):
        raise DeviceKeyRefused(reason="a public key on P-256")
    point = {name: value for name, value in found.items() if isinstance(value, str)}
    if not all(_COORDINATE.fullmatch(point.get(name, "")) for name in ("x", "y")):
        raise DeviceKeyRefused(reason="coordinates of 32 bytes")
    _key_of(point)
    return point


def thumbprint_of(jwk: Mapping[str, Any]) -> str:
    """What a key is known by. Source: RFC 7638."""
    return _key_of(jwk).thumbprint()


def seal_to_device(jwk: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """Close a message so that only the device opens it."""
    protected = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "typ": "kopeyka-device-keys+jwe"}
    return jwe.encrypt_compact(protected, json.dumps(content).encode(), _key_of(jwk), algorithms=ALGORITHMS)


def read_key_request(signed: str, jwk: Mapping[str, Any], *, device_token_id: str, now: datetime) -> DeviceKeyRequest:
    """What a device asks for, if it was this device, for this token, and just now. Raises: DeviceSignatureRefused."""
    content = _signed_content(signed, jwk)
    asked_at = content.get("asked_at")
    if content.keys() != {"device_token", "request_id", "asked_at", "discard"}:
        raise DeviceSignatureRefused(reason="fields")
    if content["device_token"] != device_token_id:
        raise DeviceSignatureRefused(reason="another token")
    if type(asked_at) is not int or abs(int(now.timestamp()) - asked_at) > FRESH.total_seconds():
        raise DeviceSignatureRefused(reason="not fresh")
    request_id, discard = content["request_id"], content["discard"]
    if not isinstance(request_id, str) or not _REQUEST_ID.fullmatch(request_id) or not isinstance(discard, bool):
        raise DeviceSignatureRefused(reason="fields")
    return DeviceKeyRequest(request_id, discard)


def _signed_content(signed: str, jwk: Mapping[str, Any]) -> dict[str, Any]:
    if len(signed) > SIGNED_CHARACTERS_MAX:
        raise DeviceSignatureRefused(reason="too long")
    try:
        content = json.loads(jws.deserialize_compact(signed, _key_of(jwk), algorithms=["ES256"]).payload)
    except (JoseError, ValueError, RecursionError):
        raise DeviceSignatureRefused(reason="signature") from None
    if not isinstance(content, dict):
        raise DeviceSignatureRefused(reason="fields")
    return content


def _key_of(jwk: Mapping[str, Any]) -> ECKey:
    try:
        key = ECKey.import_key(dict(jwk))
        _ = key.public_key  # reads the point, which may lie beside the curve
    except (JoseError, ValueError, TypeError, KeyError):
        raise DeviceKeyRefused(reason="no point of P-256") from None
    return key
