import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { base64ToBytes } from "./base64.ts";
import { decodeTransaction } from "./bincode/transactionCodec.ts";
import { parseHash } from "./hash.ts";
import { hexToBytes } from "./hex.ts";
import { parseJson } from "./json/parseJson.ts";
import { parseTransaction } from "./json/transactionJson.ts";
import { parsePublicKey, publicKeyOf } from "./keys.ts";
import { parseRpcError } from "./rpc/rpcError.ts";
import { parseRpcReply } from "./rpc/rpcReply.ts";
import { parseTransactionTree } from "./rpc/transactionTree.ts";

const VECTORS = JSON.parse(
  readFileSync(new URL("../../../test/vectors/transactions.json", import.meta.url), "utf8"),
) as { name: string; json: string; bincode: string }[];
const vector = (name: string) => VECTORS.find((each) => each.name === name)!;

const HASH = "00".repeat(32);
const KEY = `04${"00".repeat(64)}`;

describe("values", () => {
  test.each<[string, () => unknown, string]>([
    ["hex with a prefix", () => hexToBytes("0x00"), "HEX_INVALID"],
    ["hex of odd length", () => hexToBytes("abc"), "HEX_INVALID"],
    ["hex with a line end", () => hexToBytes("abcd\n"), "HEX_INVALID"],
    ["a short hash", () => parseHash(HASH.slice(2)), "HASH_INVALID"],
    ["a hash with a prefix", () => parseHash(`0x${HASH.slice(2)}`), "HASH_INVALID"],
    ["a hash and a line end", () => parseHash(`${HASH}\n`), "HASH_INVALID"],
    ["a public key off the curve", () => parsePublicKey(KEY), "PUBLIC_KEY_INVALID"],
    ["a compressed public key", () => parsePublicKey(`02${"11".repeat(32)}`), "PUBLIC_KEY_INVALID"],
    ["a secret key of 31 bytes", () => publicKeyOf(new Uint8Array(31)), "SECRET_KEY_INVALID"],
    ["a secret key of zero", () => publicKeyOf(new Uint8Array(32)), "SECRET_KEY_INVALID"],
    ["a secret key above the order", () => publicKeyOf(new Uint8Array(32).fill(255)), "SECRET_KEY_INVALID"],
    ["base64 without padding", () => base64ToBytes("AAA"), "BASE64_INVALID"],
    ["base64 of the URL alphabet", () => base64ToBytes("A-__"), "BASE64_INVALID"],
    ["base64 with a space", () => base64ToBytes("AA A"), "BASE64_INVALID"],
    ["base64 with stray bits", () => base64ToBytes("AB=="), "BASE64_INVALID"],
    ["base64 with padding inside", () => base64ToBytes("AA==AAAA"), "BASE64_INVALID"],
    ["base64 of wide characters", () => base64ToBytes("AA\u0141A"), "BASE64_INVALID"],
    ["base64 of padding alone", () => base64ToBytes("===="), "BASE64_INVALID"],
  ])("%s", (_, run, code) => {
    expect(run).toThrow(expect.objectContaining({ code }));
  });

  test("an error about a secret key does not quote it", () => {
    expect(() => publicKeyOf(new Uint8Array(31).fill(171))).toThrow(/^(?!.*(171|abab)).*$/);
  });
});

describe("JSON text", () => {
  const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  test.each<[string, string, string]>([
    ["empty", "", "malformed"],
    ["cut", '{"a":', "malformed"],
    ["an open string", '"abc', "malformed"],
    ["a string that ends in a backslash", '"abc\\', "malformed"],
    ["a large integer with a leading zero", "012345678901234567890", "malformed"],
    ["a large integer as a key", "{12345678901234567890:1}", "malformed"],
    ["a large integer as a key, with spaces", "{12345678901234567890 \n :1}", "malformed"],
    ["a large integer with letters after it", "12345678901234567890abc", "malformed"],
    ["two large integers without a comma", "[12345678901234567890 12345678901234567890]", "malformed"],
    ["a large integer in the middle of a string's quotes", '"a"12345678901234567890"b"', "malformed"],
    ["nested deeply", deep(129), "tooDeep"],
    ["nested very deeply", deep(1_000_000), "tooDeep"],
    ["an endless integer", "1".repeat(1025), "integerTooLong"],
  ])("%s", (_, text, reason) => {
    expect(() => parseJson(text)).toThrow(
      expect.objectContaining({ code: "JSON_INVALID", context: expect.objectContaining({ reason }) }),
    );
  });

  test("longer than allowed", () => {
    expect(() => parseJson("[1,2,3]", { maxChars: 6 })).toThrow(
      expect.objectContaining({ context: { reason: "tooLong", offset: null } }),
    );
  });
  test.each<[string, string, unknown]>([
    ["nested as deeply as allowed", `${"[".repeat(128)}${"]".repeat(128)}`, JSON.parse(deep(128))],
    ["2^53-1", "9007199254740991", 9007199254740991],
    ["2^53", "[9007199254740992]", [9007199254740992n]],
    ["2^53+1", "9007199254740993", 9007199254740993n],
    ["-2^53-1", "-9007199254740993", -9007199254740993n],
    ["a long fraction", "0.12345678901234567890", 0.12345678901234568],
    ["a large exponent", "[12345678901234567890e2]", [Number("12345678901234567890e2")]],
    ["digits in a string", '"12345678901234567890"', "12345678901234567890"],
    [
      "digits after an escaped quote",
      '["\\"12345678901234567890\\\\",12345678901234567890]',
      ['"12345678901234567890\\', 12345678901234567890n],
    ],
    [
      "a field named __proto__",
      '{"__proto__":12345678901234567890}',
      JSON.parse('{"__proto__":0}', (k, v) => (k === "__proto__" ? 12345678901234567890n : v)),
    ],
  ])("taken: %s", (_, text, value) => {
    expect(parseJson(text)).toEqual(value);
  });
});

/** A vector's JSON with one thing changed. */
function changed(name: string, from: string | RegExp, to: string): unknown {
  const text = vector(name).json;
  const result = text.replace(from, to);
  if (result === text) throw new Error(`nothing to change in ${name}`);
  return parseJson(result);
}

describe("a transaction's JSON", () => {
  test.each<[string, () => unknown, string]>([
    ["null", () => null, ""],
    ["an array", () => [], ""],
    ["no author", () => changed("empty", /"author":"[^"]*",/, ""), "author"],
    ["an author in hex", () => changed("empty", /"author":"[^"]*"/, `"author":"${KEY}"`), "author"],
    ["a hash of 31 bytes", () => changed("empty", '"hash":[177,', '"hash":['), "hash"],
    ["a hash in hex", () => changed("empty", /"hash":\[[^\]]*\]/, `"hash":"${HASH}"`), "hash"],
    ["a byte of 256", () => changed("empty", '"hash":[177,', '"hash":[256,'), "hash[0]"],
    ["a byte of 1.5", () => changed("empty", '"hash":[177,', '"hash":[1.5,'), "hash[0]"],
    ["a byte as a string", () => changed("empty", '"hash":[177,', '"hash":["177",'), "hash[0]"],
    ["a nonce of -1", () => changed("empty", '"nonce":0', '"nonce":-1'), "nonce"],
    ["a nonce of 2^64", () => changed("empty", '"nonce":0', '"nonce":18446744073709551616'), "nonce"],
    ["a nonce as a string", () => changed("empty", '"nonce":0', '"nonce":"0"'), "nonce"],
    ["a nonce of 0.5", () => changed("empty", '"nonce":0', '"nonce":0.5'), "nonce"],
    ["a state", () => changed("empty", '"state":null', '"state":1'), "state"],
    ["seven limbs", () => changed("empty", '"r":[540323850,', '"r":['), "signature.r"],
    ["a limb of 2^32", () => changed("empty", '"r":[540323850,', '"r":[4294967296,'), "signature.r[0]"],
    ["an unknown payload", () => changed("empty", '"Empty"', '"Nothing"'), "payload"],
    ["a payload of an object's own", () => changed("empty", '"Empty"', '{"constructor":{}}'), "payload"],
    ["a payload of two variants", () => changed("empty", '"Empty"', '{"Empty":null,"Cancel":{}}'), "payload"],
    ["Empty with fields", () => changed("empty", '"Empty"', '{"Empty":{}}'), "payload"],
    ["Cancel without fields", () => changed("empty", '"Empty"', '"Cancel"'), "payload.Cancel"],
    ["a sign of 2", () => changed("stake 1", "[1,[1]]", "[2,[1]]"), "payload.Stake.value"],
    ["a digit of 2^32", () => changed("stake 1", "[1,[1]]", "[1,[4294967296]]"), "payload.Stake.value[1][0]"],
    [
      "too many digits",
      () => changed("stake 1", "[1,[1]]", `[1,[${Array(1025).fill(1)}]]`),
      "payload.Stake.value[1]",
    ],
    ["no workflow", () => changed("run, no steps", /"workflow"/, '"work"'), "payload.Run.workflow"],
    [
      "half a surrogate pair",
      () => changed("run, two steps with inputs", '"42"', '"\\ud800"'),
      "payload.Run.workflow.steps[0].args[1]",
    ],
    [
      "an input of no kind",
      () => changed("run, two steps with inputs", '"Input"', '"Put"'),
      "payload.Run.workflow.steps[0].inputs[0]",
    ],
    [
      "an extention",
      () => changed("proof", '"extention":null', '"extention":"x"'),
      "payload.Proof.files[0].extention",
    ],
    [
      "negative memory",
      () => changed("deploy", '"mem":2048', '"mem":-1'),
      "payload.Deploy.verifier.resource_requirements.mem",
    ],
  ])("%s", (_, make, path) => {
    const value = make();
    expect(() => parseTransaction(value)).toThrow(
      expect.objectContaining({ code: "WIRE_VALUE_INVALID", context: expect.objectContaining({ path }) }),
    );
  });

  test("an unknown field is passed over, and resources may be left out", () => {
    const plain = parseTransaction(parseJson(vector("deploy").json));
    const json = changed("deploy", '"resource_requirements":null', '"later":[1]');
    expect(parseTransaction(json)).toEqual(plain);
  });
});

describe("bincode", () => {
  const empty = hexToBytes(vector("empty").bincode);
  const patched = (bytes: Uint8Array, offset: number, ...values: number[]) => {
    const copy = bytes.slice();
    copy.set(values, offset);
    return copy;
  };
  const PAYLOAD = 8 + 65 + 32;
  const stake = hexToBytes(vector("stake 1").bincode);
  const run = hexToBytes(vector("run, two steps with inputs").bincode);
  const deploy = hexToBytes(vector("deploy").bincode);
  test.each<[string, Uint8Array, number]>([
    ["no bytes", new Uint8Array(), 0],
    ["a key of 64 bytes", patched(empty, 0, 64), 0],
    ["a key that is no point", patched(empty, 8, 5), 0],
    ["a key longer than everything", patched(empty, 0, 255, 255, 255, 255, 255, 255, 255, 255), 0],
    ["variant 10", patched(empty, PAYLOAD, 10), PAYLOAD],
    ["a sign of 2", patched(stake, PAYLOAD + 4, 2), PAYLOAD + 4],
    ["more digits than bytes", patched(stake, PAYLOAD + 5, 0, 0, 0, 0, 0, 0, 0, 1), PAYLOAD + 5],
    ["more steps than bytes", patched(run, PAYLOAD + 4, 255, 255, 255, 255), PAYLOAD + 4],
    ["a string that is not UTF-8", patched(deploy, PAYLOAD + 4 + 8, 0xff), PAYLOAD + 4 + 8],
  ])("%s", (_, bytes, offset) => {
    expect(() => decodeTransaction(bytes)).toThrow(
      expect.objectContaining({ code: "BINCODE_INVALID", context: expect.objectContaining({ offset }) }),
    );
  });
});

describe("the RPC's answers", () => {
  const leaf = { Leaf: { hash: Array(32).fill(0) } };
  let deep: unknown = leaf;
  for (let i = 0; i < 16; i++) deep = { Node: { children: [deep], hash: Array(32).fill(0) } };
  test.each<[string, () => unknown]>([
    ["no Ok or Err", () => parseRpcReply({})],
    ["Ok and Err", () => parseRpcReply({ Ok: null, Err: "Unauthorized" })],
    ["a string", () => parseRpcReply("Ok")],
    ["an unknown error", () => parseRpcError({ Other: "a" })],
    ["an error without a message", () => parseRpcError({ NotFound: null })],
    ["Unauthorized with a message", () => parseRpcError({ Unauthorized: "a" })],
    ["a tree without a hash", () => parseTransactionTree({ Leaf: {} })],
    ["a tree without children", () => parseTransactionTree({ Root: { hash: Array(32).fill(0) } })],
    ["a tree of two", () => parseTransactionTree({ ...leaf, Root: {} })],
    ["a tree of an object's own", () => parseTransactionTree({ toString: {} })],
    ["a deep tree", () => parseTransactionTree(deep)],
  ])("%s", (_, run) => {
    expect(run).toThrow(expect.objectContaining({ code: "WIRE_VALUE_INVALID" }));
  });
});
