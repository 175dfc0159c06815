import { base64ToBytes, bytesToBase64 } from "../base64.ts";
import { fromSignAndDigits, toSignAndDigits } from "../bigInteger.ts";
import { isWellFormed } from "../bytes.ts";
import { parseHash } from "../hash.ts";
import { bytesToHex, hexToBytes } from "../hex.ts";
import { parsePublicKey } from "../keys.ts";
import type { Hash, PublicKey, Signature } from "../transaction.ts";
import {
  describe,
  expectArray,
  expectObject,
  invalidAt,
  type JsonCodec,
  joinPath,
  ownField,
} from "./jsonCodec.ts";

const HASH_BYTES = 32;
const LIMBS = 8;
const U32_MAX = 0xffffffff;
const U64_MAX = (1n << 64n) - 1n;
const SIGNATURE_HEX = /^[0-9a-f]{128}$/;
const DECIMAL = /^(0|-?[1-9][0-9]*)$/;
/** A big integer is an amount; the longest that is read, in 32-bit digits and in decimal ones. */
const MAX_BIG_INTEGER_DIGITS = 1024;
const MAX_DECIMAL_DIGITS = 10_000;

export const jsonString: JsonCodec<string> = {
  toJson: (value) => value,
  fromJson: (json, path) => {
    if (typeof json !== "string") throw invalidAt(path, `a string is wanted, not ${describe(json)}`);
    if (!isWellFormed(json)) throw invalidAt(path, "a string with half a surrogate pair has no UTF-8");
    return json;
  },
};

/** A bare number, a bigint above 2^53. */
export const jsonU64: JsonCodec<bigint> = {
  toJson: (value) => value,
  fromJson: (json, path) => {
    const isInteger = typeof json === "bigint" || (typeof json === "number" && Number.isSafeInteger(json));
    const value = isInteger ? BigInt(json) : -1n;
    if (value < 0n || value > U64_MAX) {
      throw invalidAt(path, `an integer from 0 to 2^64-1 is wanted, not ${describe(json)}`);
    }
    return value;
  },
};

/** An array of numbers; written from the byte array itself, which `stringifyJson` knows. */
export const jsonByteNumbers: JsonCodec<Uint8Array> = {
  toJson: (value) => value,
  fromJson: (json, path) => {
    const numbers = expectArray(json, path);
    const bytes = new Uint8Array(numbers.length);
    for (let i = 0; i < numbers.length; i++) {
      const number = numbers[i] as number;
      bytes[i] = number;
      if (bytes[i] !== number) throw invalidAt(`${path}[${i}]`, `a byte is wanted, not ${describe(number)}`);
    }
    return bytes;
  },
};

export const jsonHashNumbers: JsonCodec<Hash> = {
  toJson: (value) => [...hexToBytes(value)],
  fromJson: (json, path) => {
    const bytes = jsonByteNumbers.fromJson(json, path);
    if (bytes.length !== HASH_BYTES) throw invalidAt(path, `a hash has 32 bytes, not ${bytes.length}`);
    return bytesToHex(bytes);
  },
};

export const jsonHashHex: JsonCodec<Hash> = readText((text) => parseHash(text));
export const jsonPublicKeyHex: JsonCodec<PublicKey> = readText((text) => parsePublicKey(text));

export const jsonPublicKeyBase64: JsonCodec<PublicKey> = {
  toJson: (value) => bytesToBase64(hexToBytes(value)),
  fromJson: readText((text) => parsePublicKey(bytesToHex(base64ToBytes(text)))).fromJson,
};

export const jsonBytesBase64: JsonCodec<Uint8Array> = {
  toJson: bytesToBase64,
  fromJson: readText(base64ToBytes).fromJson,
};

export const jsonBytesHex: JsonCodec<Uint8Array> = {
  toJson: bytesToHex,
  fromJson: readText(hexToBytes).fromJson,
};

export const jsonSignatureHex: JsonCodec<Signature> = readText((text) => {
  const signature = text.toLowerCase();
  if (!SIGNATURE_HEX.test(signature)) throw new Error("a signature has 128 hex digits");
  return signature;
});

/** `{r, s}`, each eight 32-bit limbs, least significant first. */
export const jsonSignatureLimbs: JsonCodec<Signature> = {
  toJson: (value) => ({ r: scalarToLimbs(value.slice(0, 64)), s: scalarToLimbs(value.slice(64)) }),
  fromJson: (json, path) => {
    const object = expectObject(json, path);
    return ["r", "s"].map((name) => limbsToScalar(ownField(object, name), joinPath(path, name))).join("");
  },
};

/** `[sign, [digits]]`, as in section 1 of the protocol. */
export const jsonBigIntegerDigits: JsonCodec<bigint> = {
  toJson: (value) => {
    const { sign, digits } = toSignAndDigits(value);
    return [sign, digits];
  },
  fromJson: (json, path) => {
    const [sign, digits, ...rest] = expectArray(json, path);
    if ((sign !== -1 && sign !== 0 && sign !== 1) || rest.length > 0) {
      throw invalidAt(path, "a big integer is [sign, [digits]] with sign -1, 0 or 1");
    }
    return fromSignAndDigits({ sign, digits: readU32s(digits, `${path}[1]`, MAX_BIG_INTEGER_DIGITS) });
  },
};

export const jsonBigIntegerDecimal: JsonCodec<bigint> = {
  toJson: (value) => value.toString(),
  fromJson: readText((text) => {
    if (text.length > MAX_DECIMAL_DIGITS || !DECIMAL.test(text))
      throw new Error("a decimal integer is wanted");
    return BigInt(text);
  }).fromJson,
};

/** A string in JSON and here; `read` throws for one that can't be taken. */
function readText<T>(read: (text: string) => T): JsonCodec<T> {
  return {
    toJson: (value) => value,
    fromJson: (json, path) => {
      const text = jsonString.fromJson(json, path);
      try {
        return read(text);
      } catch (cause) {
        const problem = cause instanceof Error ? cause.message.replace(/\.$/, "") : String(cause);
        throw invalidAt(path, problem, cause);
      }
    },
  };
}

function readU32s(json: unknown, path: string, maxLength: number): number[] {
  const items = expectArray(json, path);
  if (items.length > maxLength)
    throw invalidAt(path, `at most ${maxLength} digits are read, not ${items.length}`);
  return items.map((item, i) => {
    if (typeof item === "number" && Number.isInteger(item) && item >= 0 && item <= U32_MAX) return item;
    throw invalidAt(`${path}[${i}]`, `an integer from 0 to 2^32-1 is wanted, not ${describe(item)}`);
  });
}

function scalarToLimbs(hex: string): number[] {
  return Array.from({ length: LIMBS }, (_, i) => Number.parseInt(hex.slice(56 - 8 * i, 64 - 8 * i), 16));
}

function limbsToScalar(json: unknown, path: string): string {
  const limbs = readU32s(json, path, LIMBS);
  if (limbs.length !== LIMBS) throw invalidAt(path, `a scalar has 8 limbs, not ${limbs.length}`);
  return limbs
    .reverse()
    .map((limb) => limb.toString(16).padStart(8, "0"))
    .join("");
}
