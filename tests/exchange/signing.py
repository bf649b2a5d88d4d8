"""signing - who may speak for an account: keys of the three kinds, and signatures over exact bytes.

REST signs the query and the body as they were sent, without anything between them; the WebSocket
API signs the parameters sorted by name and not encoded. Both call verify() with those bytes.

SPDX-License-Identifier: Apache-2.0
"""
import base64
import binascii
import hashlib
import hmac
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

HMAC, ED25519, RSA = KINDS = ("HMAC", "ED25519", "RSA")
# What a key may be used for; reading is what every call needs. Nothing is withdrawn here, but it
# is told of a key that might.
READ, SPOT, FUTURES, WITHDRAW = ALL_PERMISSIONS = ("READ", "SPOT", "FUTURES", "WITHDRAW")
PERMISSIONS = ALL_PERMISSIONS[:3]  # of a new key


class BadKey(ValueError):
    pass


class Key:
    """One API key of an account: `secret` of an HMAC key, `public_key` (PEM) of the others."""

    def __init__(self, api_key, kind=HMAC, secret=None, public_key=None, permissions=PERMISSIONS):
        if kind not in KINDS or set(permissions) - set(ALL_PERMISSIONS):
            raise BadKey("kinds are %s, permissions %s" % (KINDS, ALL_PERMISSIONS))
        if not re.fullmatch(r"[A-Za-z0-9]{64}", api_key):
            raise BadKey("an API key is 64 letters and digits")
        self.api_key, self.kind = api_key, kind
        self.permissions = set(permissions)
        self.is_enabled = True
        self.account = None
        if kind == HMAC:
            if not secret:
                raise BadKey("HMAC needs a secret")
            self.secret = secret.encode()
            return
        try:
            self.public = load_pem_public_key((public_key or "").encode())
        except ValueError as e:
            raise BadKey("public_key is not PEM: %s" % e) from None
        wanted = ed25519.Ed25519PublicKey if kind == ED25519 else rsa.RSAPublicKey
        if not isinstance(self.public, wanted):
            raise BadKey("public_key is not of kind " + kind)
        if kind == RSA and not 2048 <= self.public.key_size <= 4096:
            raise BadKey("RSA keys have 2048 to 4096 bits")


def verify(key, payload, signature):
    """Whether `signature` (text, already decoded from the URL) is the key's over these bytes."""
    if key.kind == HMAC:
        right = hmac.new(key.secret, payload, hashlib.sha256).hexdigest()
        return hmac.compare_digest(right.encode(), signature.lower().encode())
    try:
        raw = base64.b64decode(signature, validate=True)
        if key.kind == ED25519:
            key.public.verify(raw, payload)
        else:
            key.public.verify(raw, payload, padding.PKCS1v15(), SHA256())
        return True
    except (InvalidSignature, binascii.Error, ValueError):
        return False


def websocket_payload(params):
    """The bytes that the WebSocket API signs of a request's params."""
    def text(value):
        return value if isinstance(value, str) else \
            ("false", "true")[value] if isinstance(value, bool) else str(value)

    return "&".join("%s=%s" % (name, text(params[name]))
                    for name in sorted(params) if name != "signature").encode()
