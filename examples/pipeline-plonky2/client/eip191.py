"""EIP-191 signatures of a text by an Ethereum key, without a dependency. For examples: it is slow, and not hardened against
an observer of its timing."""

import hashlib
import hmac

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


def sign_text(text: str, key: bytes) -> str:
    """65 bytes r, s, v as hex without 0x."""
    message = text.encode()
    digest = keccak256(b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message)
    secret, hashed = int.from_bytes(key, "big"), int.from_bytes(digest, "big")
    nonce = nonce_of(secret, digest)
    x, y = multiply(nonce, G)
    r = x % N
    s = pow(nonce, -1, N) * (hashed + r * secret) % N
    is_odd = y & 1
    if s > N // 2:
        s, is_odd = N - s, is_odd ^ 1
    return (r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + is_odd])).hex()


def nonce_of(secret: int, digest: bytes) -> int:
    """RFC 6979: of the key and the text, so that a bad random number can't give the key away."""
    seed = secret.to_bytes(32, "big") + (int.from_bytes(digest, "big") % N).to_bytes(32, "big")
    v, k = b"\x01" * 32, b"\x00" * 32
    for tag in (b"\x00", b"\x01"):
        k = hmac.digest(k, v + tag + seed, hashlib.sha256)
        v = hmac.digest(k, v, hashlib.sha256)
    while True:
        v = hmac.digest(k, v, hashlib.sha256)
        nonce = int.from_bytes(v, "big")
        if 0 < nonce < N:
            return nonce
        k = hmac.digest(k, v + b"\x00", hashlib.sha256)
        v = hmac.digest(k, v, hashlib.sha256)


def multiply(factor: int, point):
    result = None
    while factor:
        if factor & 1:
            result = add(result, point)
        point = add(point, point)
        factor >>= 1
    return result


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if a[1] != b[1]:
            return None
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) % P
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def keccak256(data: bytes) -> bytes:
    """Keccak as Ethereum has it; hashlib's SHA-3 pads differently."""
    rate = 136
    padded = bytearray(data) + b"\x01" + bytes(-(len(data) + 1) % rate)
    padded[-1] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for block in range(0, len(padded), rate):
        for at in range(rate // 8):
            x, y = at % 5, at // 5
            lanes[x][y] ^= int.from_bytes(padded[block + 8 * at :][:8], "little")
        lanes = permute(lanes)
    return b"".join(lanes[x][0].to_bytes(8, "little") for x in range(4))


def permute(a):
    bits = 1
    for _ in range(24):
        parity = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        flips = [parity[(x + 4) % 5] ^ rotate(parity[(x + 1) % 5], 1) for x in range(5)]
        a = [[a[x][y] ^ flips[x] for y in range(5)] for x in range(5)]
        x, y, lane = 1, 0, a[1][0]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            lane, a[x][y] = a[x][y], rotate(lane, (step + 1) * (step + 2) // 2)
        a = [[a[x][y] ^ (~a[(x + 1) % 5][y] & a[(x + 2) % 5][y]) for y in range(5)] for x in range(5)]
        for power in range(7):
            bits = (bits << 1 ^ (bits >> 7) * 0x171) & 0x1FF
            if bits & 2:
                a[0][0] ^= 1 << ((1 << power) - 1)
    return a


def rotate(lane: int, by: int) -> int:
    by %= 64
    return (lane << by | lane >> (64 - by)) & (2**64 - 1)
