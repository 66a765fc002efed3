"""The two AK/SK signature schemes of the v5 REST interface, written from their description, so that a test can send a
request that is signed wrongly on purpose. The vendor's SDK signs everything else.
"""

import hashlib
import hmac
from urllib.parse import quote, unquote

SDK_SCHEME = "SDK-HMAC-SHA256"
DERIVED_SCHEME = "V11-HMAC-SHA256"
SERVICE = "iotdm"


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")


def canonical_request(method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes) -> str:
    segments = "/".join(_encode(segment) for segment in unquote(path).split("/"))
    if not segments.endswith("/"):
        segments += "/"
    names = sorted(headers)
    return "\n".join([
        method,
        segments,
        "&".join(f"{_encode(key)}={_encode(value)}" for key, value in sorted(query)),
        "".join(f"{name}:{headers[name].strip()}\n" for name in names),
        ";".join(names),
        headers.get("x-sdk-content-sha256") or hashlib.sha256(body).hexdigest(),
    ])


def derived_key(ak: str, sk: str, info: str) -> str:
    """HKDF-SHA256 with one output block; the lower-case hex text is the signing key."""
    extracted = hmac.new(ak.encode(), sk.encode(), hashlib.sha256).digest()
    return hmac.new(extracted, info.encode() + b"\x01", hashlib.sha256).hexdigest()


def authorization(scheme: str, ak: str, sk: str, method: str, path: str, query: list[tuple[str, str]],
                  headers: dict[str, str], body: bytes, region: str = "cn-north-4") -> str:
    """`headers` are the signed ones, names in lower case, `x-sdk-date` among them."""
    date = headers["x-sdk-date"]
    digest = hashlib.sha256(canonical_request(method, path, query, headers, body).encode()).hexdigest()
    signed = ";".join(sorted(headers))
    if scheme == SDK_SCHEME:
        to_sign = f"{scheme}\n{date}\n{digest}"
        signature = hmac.new(sk.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
        return f"{scheme} Access={ak}, SignedHeaders={signed}, Signature={signature}"
    info = f"{date[:8]}/{region}/{SERVICE}"
    to_sign = f"{scheme}\n{date}\n{info}\n{digest}"
    signature = hmac.new(derived_key(ak, sk, info).encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{scheme} Credential={ak}/{info}, SignedHeaders={signed}, Signature={signature}"
