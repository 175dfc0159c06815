import type { Payload, PayloadOf, Transaction, TxFile } from "../transaction.ts";
import { jsonArray, jsonObject, jsonVariants } from "./combinators.ts";
import {
  jsonBigIntegerDigits,
  jsonByteNumbers,
  jsonHashNumbers,
  jsonPublicKeyBase64,
  jsonSignatureLimbs,
  jsonString,
  jsonU64,
} from "./leaves.ts";
import { jsonDeploy, jsonRun } from "./shared.ts";
import { stringifyJson } from "./stringifyJson.ts";

type Fields<K extends Payload["kind"]> = Omit<PayloadOf<K>, "kind">;

/** `extention` is the wire's own spelling. */
const files = jsonArray(
  jsonObject<TxFile>(
    { name: ["name", jsonString], url: ["url", jsonString], checksum: ["checksum", jsonHashNumbers] },
    "extention",
  ),
);

const payload = jsonVariants<Payload>({
  empty: ["Empty", null],
  transfer: [
    "Transfer",
    jsonObject<Fields<"transfer">>({
      to: ["to", jsonPublicKeyBase64],
      value: ["value", jsonBigIntegerDigits],
    }),
  ],
  stake: ["Stake", jsonObject<Fields<"stake">>({ value: ["value", jsonBigIntegerDigits] })],
  unstake: ["Unstake", jsonObject<Fields<"unstake">>({ value: ["value", jsonBigIntegerDigits] })],
  deploy: ["Deploy", jsonDeploy],
  run: ["Run", jsonRun],
  proof: [
    "Proof",
    jsonObject<Fields<"proof">>({
      parent: ["parent", jsonHashNumbers],
      prover: ["prover", jsonHashNumbers],
      proof: ["proof", jsonByteNumbers],
      files: ["files", files],
    }),
  ],
  proofKey: [
    "ProofKey",
    jsonObject<Fields<"proofKey">>({ parent: ["parent", jsonHashNumbers], key: ["key", jsonByteNumbers] }),
  ],
  verification: [
    "Verification",
    jsonObject<Fields<"verification">>({
      parent: ["parent", jsonHashNumbers],
      verifier: ["verifier", jsonHashNumbers],
      verification: ["verification", jsonByteNumbers],
      files: ["files", files],
    }),
  ],
  cancel: ["Cancel", jsonObject<Fields<"cancel">>({ parent: ["parent", jsonHashNumbers] })],
});

const transaction = jsonObject<Transaction>(
  {
    author: ["author", jsonPublicKeyBase64],
    hash: ["hash", jsonHashNumbers],
    payload: ["payload", payload],
    nonce: ["nonce", jsonU64],
    signature: ["signature", jsonSignatureLimbs],
  },
  "state",
);

/** The wire value of a transaction (protocol section 3), for `stringifyJson`: it holds bigints and byte arrays. */
export function transactionToWire(value: Transaction): unknown {
  return transaction.toJson(value);
}

/** A transaction's JSON text, byte for byte as the existing node writes it. */
export function transactionToJson(value: Transaction): string {
  return stringifyJson(transactionToWire(value));
}

/** Reads what `parseJson` gives; does not verify. Throws `WIRE_VALUE_INVALID` with the path of the wrong value. */
export function parseTransaction(value: unknown): Transaction {
  return transaction.fromJson(value, "");
}
