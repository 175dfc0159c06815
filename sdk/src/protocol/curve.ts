import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { getPublicKey, hashes, recoverPublicKey, sign, utils, verify } from "@noble/secp256k1";

// The library brings no hashes of its own; RFC 6979 makes the nonce of a signature with these.
hashes.sha256 = sha256;
hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);

/** An object, not a second export of the library's names: bundlers would follow those, and leave out what is done here. */
export const secp256k1 = { getPublicKey, recoverPublicKey, sign, utils, verify };
