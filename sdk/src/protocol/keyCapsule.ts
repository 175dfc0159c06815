import { type Codec, decode, encode } from "./bincode/codec.ts";
import { sequence, struct } from "./bincode/combinators.ts";
import { byteString } from "./bincode/primitives.ts";
import { capsuleInvalid } from "./capsuleInvalid.ts";
import { bytesToHex, hexToBytes } from "./hex.ts";
import { checkSecretKey, generateSecretKey, parsePublicKey, publicKeyOf } from "./keys.ts";
import type { PublicKey } from "./transaction.ts";

interface Capsule {
  readonly message: Uint8Array;
  readonly keys: readonly { readonly publicKey: Uint8Array; readonly sealed: Uint8Array }[];
}

const capsuleCodec: Codec<Capsule> = struct<Capsule>({
  message: byteString,
  keys: sequence(struct<Capsule["keys"][number]>({ publicKey: byteString, sealed: byteString })),
});

/**
 * Seals a message so that each of the keys can open it, and nobody else: protocol section 3, "Key capsule". Loads
 * `eciesjs`. Throws `PUBLIC_KEY_INVALID`.
 */
export async function sealKeyCapsule(
  message: Uint8Array,
  recipients: readonly PublicKey[],
): Promise<Uint8Array> {
  const publicKeys = recipients.map((key) => hexToBytes(parsePublicKey(key)));
  const { encrypt } = await import("eciesjs");
  const secretKey = generateSecretKey();
  return encode(capsuleCodec, {
    message: encrypt(publicKeyOf(secretKey), message),
    keys: publicKeys.map((publicKey) => ({ publicKey, sealed: encrypt(publicKey, secretKey) })),
  });
}

/** Opens a capsule with the secret key of one of its recipients. Throws `CAPSULE_INVALID` or `SECRET_KEY_INVALID`. */
export async function openKeyCapsule(bytes: Uint8Array, secretKey: Uint8Array): Promise<Uint8Array> {
  const publicKey = publicKeyOf(checkSecretKey(secretKey));
  const { decrypt } = await import("eciesjs");
  try {
    const capsule = decode(capsuleCodec, bytes);
    const key = capsule.keys.find((each) => bytesToHex(each.publicKey) === publicKey);
    if (key === undefined) throw new Error(`it is not sealed for the key ${publicKey}`);
    return new Uint8Array(decrypt(decrypt(secretKey, key.sealed), capsule.message));
  } catch (cause) {
    throw capsuleInvalid(cause);
  }
}
