import { randomBytes } from "node:crypto";
import {
  hexToBytes,
  publicKeyOf,
  sha3_256,
  signTransaction,
  type Transaction,
  verifyTransaction,
} from "gevulot-sdk/protocol";
import { describe, expect, test } from "vitest";
import { createNativeCrypto } from "./nativeCrypto.ts";

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const secretKey = new Uint8Array(32).fill(9);
const native = createNativeCrypto();
const tx = signTransaction({ payload: { kind: "stake", value: 7n }, nonce: 1n, secretKey });
const hex = (value: bigint) => value.toString(16).padStart(64, "0");
const s = BigInt(`0x${tx.signature.slice(64)}`);
const r = tx.signature.slice(0, 64);

const outcome = (changed: Transaction, deps = {}) => {
  try {
    verifyTransaction(changed, deps);
    return "verified";
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe("native verification", () => {
  test("is there on this machine, and says what the portable code says", () => {
    expect(native.verifySignature).toBeTypeOf("function");
    for (let i = 0; i < 50; i++) {
      const bytes = randomBytes(i * 7);
      expect(native.sha3_256?.(bytes)).toEqual(sha3_256(bytes));
    }
  });

  test.each<[string, Transaction, string]>([
    ["as it was signed", tx, "verified"],
    ["the high s", { ...tx, signature: r + hex(ORDER - s) }, "verified"],
    ["s of zero", { ...tx, signature: r + hex(0n) }, "TRANSACTION_SIGNATURE_WRONG"],
    ["s beyond the order", { ...tx, signature: r + hex(s + ORDER) }, "TRANSACTION_SIGNATURE_WRONG"],
    ["r of the order", { ...tx, signature: hex(ORDER) + hex(s) }, "TRANSACTION_SIGNATURE_WRONG"],
    ["another s", { ...tx, signature: r + hex(s - 1n) }, "TRANSACTION_SIGNATURE_WRONG"],
    ["another's key", { ...tx, author: publicKeyOf(new Uint8Array(32).fill(8)) }, "TRANSACTION_HASH_DIFFERS"],
  ])("%s", (_, changed, wanted) => {
    const signature = changed.signature.length > 128 ? changed.signature.slice(0, 128) : changed.signature;
    const given = { ...changed, signature };
    expect(outcome(given, native)).toBe(wanted);
    expect(outcome(given)).toBe(wanted);
  });

  test("keys that are no points, and the hybrid form", () => {
    const message = new Uint8Array(32).fill(1);
    const key = hexToBytes(tx.author);
    const hybrid = Uint8Array.from(key);
    hybrid[0] = 6 + (key[64]! & 1);
    const offCurve = Uint8Array.from(key);
    offCurve[64]! ^= 1;
    for (const publicKey of [hybrid, offCurve, key.slice(1), new Uint8Array(65)]) {
      expect(native.verifySignature?.(hexToBytes(tx.signature), message, publicKey)).toBe(false);
    }
  });

  test("without the addon the portable code is left to do it", () => {
    const deps = createNativeCrypto(() => {
      throw new Error("No native build was found");
    });
    expect(deps.verifySignature).toBeUndefined();
    expect(outcome(tx, deps)).toBe("verified");
  });
});
