import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { base64ToBytes, bytesToBase64 } from "./base64.ts";
import { fromSignAndDigits, toSignAndDigits, toTwosComplement } from "./bigInteger.ts";
import { decodeTransaction, encodeTransaction } from "./bincode/transactionCodec.ts";
import { bytesToHex, hexToBytes } from "./hex.ts";
import { parseJson } from "./json/parseJson.ts";
import { stringifyJson } from "./json/stringifyJson.ts";
import { parseTransaction, transactionToJson } from "./json/transactionJson.ts";
import { createProgramMetadata } from "./program.ts";
import { parseRpcTransaction, rpcTransactionToWire } from "./rpc/rpcTransaction.ts";
import { toRpcTransaction } from "./rpc/toRpcTransaction.ts";
import { signTransaction } from "./signTransaction.ts";
import type { Payload, ProgramData } from "./transaction.ts";
import { transactionHash } from "./transactionHash.ts";
import { verifyTransaction } from "./verifyTransaction.ts";

const KEYS = JSON.parse(
  readFileSync(new URL("../../../test/vectors/keys.json", import.meta.url), "utf8"),
) as { secret_key: string; public_key: string }[];

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const bytes = fc.uint8Array({ maxLength: 100 });
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytesToHex);
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const integer = fc.bigInt({ min: -(1n << 300n), max: 1n << 300n });
const publicKey = fc.constantFrom(...KEYS.map((key) => key.public_key));
const secretKey = fc.constantFrom(...KEYS.map((key) => key.secret_key)).map(hexToBytes);
const resources = fc.option(fc.record({ memMib: u64, cpus: u64, gpus: u64 }));
const program = fc
  .record({ name: text, imageFileName: text, imageFileUrl: text, imageFileChecksum: text, resources })
  .map(createProgramMetadata);
const data: fc.Arbitrary<ProgramData> = fc.oneof(
  fc.record({ kind: fc.constant("input"), fileName: text, fileUrl: text, checksum: text }),
  fc.record({ kind: fc.constant("output"), sourceProgram: hash, fileName: text }),
);
const step = fc.record({
  program: hash,
  args: fc.array(text, { maxLength: 3 }),
  inputs: fc.array(data, { maxLength: 3 }),
});
const files = fc.array(fc.record({ name: text, url: text, checksum: hash }), { maxLength: 3 });

const payload: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({ kind: fc.constant("empty") }),
  fc.record({ kind: fc.constant("transfer"), to: publicKey, value: integer }),
  fc.record({ kind: fc.constant("stake"), value: integer }),
  fc.record({ kind: fc.constant("unstake"), value: integer }),
  fc.record({ kind: fc.constant("deploy"), name: text, prover: program, verifier: program }),
  fc.record({
    kind: fc.constant("run"),
    steps: fc.uniqueArray(step, { maxLength: 3, selector: (each) => each.program }),
  }),
  fc.record({ kind: fc.constant("proof"), parent: hash, prover: hash, proof: bytes, files }),
  fc.record({ kind: fc.constant("proofKey"), parent: hash, key: bytes }),
  fc.record({ kind: fc.constant("verification"), parent: hash, verifier: hash, verification: bytes, files }),
  fc.record({ kind: fc.constant("cancel"), parent: hash }),
);
const transaction = fc.record({ payload, nonce: u64, secretKey }).map(signTransaction);

test("a signed transaction verifies, and comes back from JSON and bincode as it was", () => {
  fc.assert(
    fc.property(transaction, (tx) => {
      verifyTransaction(tx);
      expect(parseTransaction(parseJson(transactionToJson(tx)))).toEqual(tx);
      expect(decodeTransaction(encodeTransaction(tx))).toEqual(tx);
      const shown = toRpcTransaction(tx, { rpcHost: "127.0.0.1:9995" });
      expect(parseRpcTransaction(parseJson(stringifyJson(rpcTransactionToWire(shown))))).toEqual(shown);
    }),
    { numRuns: 150 },
  );
});

test("the hash covers author, payload and nonce", () => {
  fc.assert(
    fc.property(transaction, u64, publicKey, (tx, nonce, author) => {
      fc.pre(nonce !== tx.nonce && author !== tx.author);
      expect(transactionHash({ ...tx, nonce })).not.toBe(tx.hash);
      expect(transactionHash({ ...tx, author })).not.toBe(tx.hash);
    }),
  );
});

test("bincode cut anywhere, or longer, is refused with an offset within it", () => {
  fc.assert(
    fc.property(transaction, fc.nat(), (tx, at) => {
      const whole = encodeTransaction(tx);
      const cut = whole.subarray(0, at % whole.length);
      expect(() => decodeTransaction(cut)).toThrow(expect.objectContaining({ code: "BINCODE_INVALID" }));
      const longer = new Uint8Array([...whole, 0]);
      expect(() => decodeTransaction(longer)).toThrow(
        expect.objectContaining({ context: expect.objectContaining({ offset: whole.length }) }),
      );
    }),
  );
});

test("bincode with a byte changed is decoded or refused, never anything else", () => {
  fc.assert(
    fc.property(transaction, fc.nat(), fc.integer({ min: 1, max: 255 }), (tx, at, change) => {
      const changed = encodeTransaction(tx);
      changed[at % changed.length]! ^= change;
      try {
        expect(encodeTransaction(decodeTransaction(changed)).length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toMatchObject({ code: "BINCODE_INVALID" });
      }
    }),
  );
});

test("bytes come back from hex and base64", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (value) => {
      expect(hexToBytes(bytesToHex(value))).toEqual(value);
      expect(bytesToBase64(value)).toBe(Buffer.from(value).toString("base64"));
      expect(base64ToBytes(bytesToBase64(value))).toEqual(value);
    }),
  );
});

test("big integers come back from their digits, and their two's complement is the shortest", () => {
  fc.assert(
    fc.property(integer, (value) => {
      expect(fromSignAndDigits(toSignAndDigits(value))).toBe(value);
      const short = toTwosComplement(value);
      expect(BigInt.asIntN(8 * short.length, BigInt(`0x${bytesToHex(short)}`))).toBe(value);
      if (short.length > 1) expect(BigInt.asIntN(8 * (short.length - 1), value)).not.toBe(value);
    }),
  );
});

const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom(null, true, false),
    fc.string({ unit: "grapheme" }),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((n) => !Number.isInteger(n)),
    fc.bigInt({ min: 1n << 53n, max: 1n << 200n }),
    fc.bigInt({ min: -(1n << 200n), max: -(1n << 53n) }),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value;

test("any JSON with integers of any size comes back", () => {
  fc.assert(
    fc.property(json, (value) => {
      expect(parseJson(stringifyJson(value))).toEqual(value);
    }),
  );
});

test("text without large integers reads as JSON.parse does, or both refuse it", () => {
  const tokens = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    '"',
    '"a"',
    "\\",
    " ",
    "\n",
    "-",
    "0",
    "01",
    "1e5",
    "1.5",
    "12345678901234567",
    "x",
    "null",
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...tokens), { maxLength: 9 }), (parts) => {
      const source = parts.join("");
      const read = (parse: (text: string) => unknown) => {
        try {
          return { value: JSON.stringify(parse(source), (_, v) => (typeof v === "bigint" ? Number(v) : v)) };
        } catch {
          return "refused";
        }
      };
      expect(read(parseJson)).toEqual(read(JSON.parse));
    }),
    { numRuns: 5000 },
  );
});
