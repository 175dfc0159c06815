import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { hashes } from "@noble/secp256k1";

// The library brings no hashes of its own; RFC 6979 makes the nonce of a signature with these.
hashes.sha256 = sha256;
hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);

export { getPublicKey, sign, utils, verify } from "@noble/secp256k1";
