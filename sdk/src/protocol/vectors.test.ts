import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decode, encode } from "./bincode/codec.ts";
import {
  decodeTransaction,
  encodeTransaction,
  programMetadataCodec,
  publicKeyCodec,
} from "./bincode/transactionCodec.ts";
import { canonicalPayload } from "./canonicalPayload.ts";
import { bytesToHex, hexToBytes } from "./hex.ts";
import { jsonPublicKeyBase64 } from "./json/leaves.ts";
import { parseJson } from "./json/parseJson.ts";
import { jsonProgramMetadata } from "./json/shared.ts";
import { stringifyJson } from "./json/stringifyJson.ts";
import { parseTransaction, transactionToJson } from "./json/transactionJson.ts";
import { publicKeyOf } from "./keys.ts";
import { createProgramMetadata, programHash } from "./program.ts";
import { parseRpcError, rpcErrorText } from "./rpc/rpcError.ts";
import { errReplyToWire, okReplyToWire, parseRpcReply } from "./rpc/rpcReply.ts";
import { parseRpcTransaction, rpcTransactionToWire } from "./rpc/rpcTransaction.ts";
import { toRpcTransaction } from "./rpc/toRpcTransaction.ts";
import { parseTransactionTree, transactionTreeToWire } from "./rpc/transactionTree.ts";
import { hashToWire, parseWireHash } from "./rpc/wireHash.ts";
import { signTransaction } from "./signTransaction.ts";
import { signingMessage, transactionHash } from "./transactionHash.ts";
import { verifyTransaction } from "./verifyTransaction.ts";

interface KeyVector {
  bincode: string;
  public_key: string;
  public_key_json: string;
  secret_key: string;
}
interface ProgramVector {
  bincode: string;
  hash: string;
  json: string;
}
interface TransactionVector {
  bincode: string;
  canonical_payload: string;
  hash: string;
  json: string;
  name: string;
  nonce: string;
  rpc_host: string;
  rpc_transaction: string;
  secret_key: string;
  signature: string;
  signed_message: string;
  valid: boolean;
}
interface VerdictVector {
  existing_node_accepts: boolean;
  json: string;
  name: string;
  we_accept: boolean;
}
interface RpcVectors {
  errors: { display: string; json: string }[];
  hash_hex: string;
  hash_json: string;
  ok_null: string;
  tree: string;
}

function load<T>(name: string): T {
  return JSON.parse(
    readFileSync(new URL(`../../../test/vectors/${name}.json`, import.meta.url), "utf8"),
  ) as T;
}

const keys = load<KeyVector[]>("keys");
const programs = load<ProgramVector[]>("programs");
const transactions = load<TransactionVector[]>("transactions");
const verdicts = load<VerdictVector[]>("verdicts");
const rpc = load<RpcVectors>("rpc");

test("the vectors are all there", () => {
  expect([keys, programs, transactions, verdicts, rpc.errors].map((list) => list.length)).toEqual([
    8, 4, 94, 12, 5,
  ]);
});

describe.each(keys)("key $public_key", (vector) => {
  test("is its secret key's, in each form", () => {
    const key = publicKeyOf(hexToBytes(vector.secret_key));
    expect(key).toBe(vector.public_key);
    expect(bytesToHex(encode(publicKeyCodec, key))).toBe(vector.bincode);
    expect(decode(publicKeyCodec, hexToBytes(vector.bincode))).toBe(key);
    expect(jsonPublicKeyBase64.toJson(key)).toBe(vector.public_key_json);
    expect(jsonPublicKeyBase64.fromJson(vector.public_key_json, "key")).toBe(key);
  });
});

describe.each(programs)("program $hash", (vector) => {
  const program = jsonProgramMetadata.fromJson(parseJson(vector.json), "program");

  test("hashes, and is made again from its fields", () => {
    expect(programHash(program)).toBe(vector.hash);
    expect(createProgramMetadata(program)).toEqual(program);
  });
  test("has these bytes, both ways", () => {
    expect(stringifyJson(jsonProgramMetadata.toJson(program))).toBe(vector.json);
    expect(bytesToHex(encode(programMetadataCodec, program))).toBe(vector.bincode);
    expect(decode(programMetadataCodec, hexToBytes(vector.bincode))).toEqual(program);
  });
});

describe.each(transactions)("transaction $name", (vector) => {
  const transaction = parseTransaction(parseJson(vector.json));
  const { payload, nonce, author } = transaction;

  test("has this hash and signature", () => {
    expect(nonce).toBe(BigInt(vector.nonce));
    expect(bytesToHex(canonicalPayload(payload))).toBe(vector.canonical_payload);
    expect(transactionHash({ author, payload, nonce })).toBe(vector.hash);
    expect(bytesToHex(signingMessage(vector.hash))).toBe(vector.signed_message);
    expect(transaction.signature).toBe(vector.signature);
    expect(signTransaction({ payload, nonce, secretKey: hexToBytes(vector.secret_key) })).toEqual(
      transaction,
    );
  });
  test("has these bytes, both ways", () => {
    expect(transactionToJson(transaction)).toBe(vector.json);
    expect(bytesToHex(encodeTransaction(transaction))).toBe(vector.bincode);
    expect(decodeTransaction(hexToBytes(vector.bincode))).toEqual(transaction);
  });
  test("is shown so by the RPC", () => {
    const shown = toRpcTransaction(transaction, { rpcHost: vector.rpc_host });
    expect(stringifyJson(rpcTransactionToWire(shown))).toBe(vector.rpc_transaction);
    expect(parseRpcTransaction(parseJson(vector.rpc_transaction))).toEqual(shown);
  });
  test(vector.valid ? "verifies" : "is refused", () => {
    if (vector.valid) verifyTransaction(transaction);
    else
      expect(() => verifyTransaction(transaction)).toThrow(
        expect.objectContaining({ code: "RUN_PROGRAM_TWICE" }),
      );
  });
});

/** What each wrong one is refused with. */
const CODES: Readonly<Record<string, string>> = {
  "nonce changed": "TRANSACTION_HASH_DIFFERS",
  "author changed": "TRANSACTION_HASH_DIFFERS",
  "hash field changed": "TRANSACTION_HASH_DIFFERS",
  "zero signature": "TRANSACTION_SIGNATURE_WRONG",
  "r and s swapped": "TRANSACTION_SIGNATURE_WRONG",
  "argument changed": "TRANSACTION_HASH_DIFFERS",
  "deploy: program hash changed after signing": "TRANSACTION_HASH_DIFFERS",
  "deploy: program hash does not fit its fields, signed so": "PROGRAM_HASH_DIFFERS",
};

describe.each(verdicts)("verdict: $name", (vector) => {
  test(vector.we_accept ? "accepted" : "not accepted", () => {
    const transaction = parseTransaction(parseJson(vector.json));
    if (vector.we_accept) verifyTransaction(transaction);
    else {
      const code = CODES[vector.name];
      expect(code).toBeDefined();
      expect(() => verifyTransaction(transaction)).toThrow(expect.objectContaining({ code }));
    }
  });
});

describe("the RPC's values", () => {
  test("hash", () => {
    expect(stringifyJson(hashToWire(rpc.hash_hex))).toBe(rpc.hash_json);
    expect(parseWireHash(parseJson(rpc.hash_json))).toBe(rpc.hash_hex);
  });
  test("Ok of nothing", () => {
    expect(stringifyJson(okReplyToWire(null))).toBe(rpc.ok_null);
    expect(parseRpcReply(parseJson(rpc.ok_null))).toEqual({ ok: true, value: null });
  });
  test("tree", () => {
    const reply = parseRpcReply(parseJson(rpc.tree));
    if (!reply.ok) throw new Error("the vector is an Ok");
    const tree = parseTransactionTree(reply.value);
    expect(tree).toMatchObject({
      kind: "root",
      hash: rpc.hash_hex,
      children: [{ kind: "node" }, { children: [] }],
    });
    expect(stringifyJson(okReplyToWire(transactionTreeToWire(tree)))).toBe(rpc.tree);
  });
  test.each(rpc.errors)("error $display", ({ display, json }) => {
    const reply = parseRpcReply(parseJson(json));
    if (reply.ok) throw new Error("the vector is an Err");
    expect(rpcErrorText(reply.error)).toBe(display);
    expect(stringifyJson(errReplyToWire(reply.error))).toBe(json);
    expect(parseRpcError((JSON.parse(json) as { Err: unknown }).Err)).toEqual(reply.error);
  });
});
