import { jsonArray, jsonObject, jsonVariants } from "../json/combinators.ts";
import {
  jsonBigIntegerDecimal,
  jsonBytesBase64,
  jsonBytesHex,
  jsonHashHex,
  jsonPublicKeyHex,
  jsonSignatureHex,
  jsonString,
  jsonU64,
} from "../json/leaves.ts";
import { jsonDeploy, jsonRun } from "../json/shared.ts";
import type { Hash, Payload, PayloadOf, PublicKey, Signature } from "../transaction.ts";

/** An output file as the RPC shows it: `url` is complete and points to the answering node. */
export interface RpcFile {
  readonly url: string;
  readonly checksum: Hash;
  /** The path inside the VM. */
  readonly vmPath: string;
}

type WithRpcFiles<P> = P extends { readonly files: unknown }
  ? Omit<P, "files"> & { readonly files: readonly RpcFile[] }
  : P;

/** A payload as the RPC shows it; only the files differ from a transaction's. */
export type RpcPayload = WithRpcFiles<Payload>;
export type RpcPayloadOf<K extends RpcPayload["kind"]> = Extract<RpcPayload, { kind: K }>;

/** The answer of `getTransaction` (protocol section 5). */
export interface RpcTransaction<K extends RpcPayload["kind"] = RpcPayload["kind"]> {
  readonly author: PublicKey;
  readonly hash: Hash;
  readonly payload: RpcPayloadOf<K>;
  readonly nonce: bigint;
  readonly signature: Signature;
}

type Fields<K extends Payload["kind"]> = Omit<PayloadOf<K>, "kind">;
type RpcFields<K extends RpcPayload["kind"]> = Omit<RpcPayloadOf<K>, "kind">;

const files = jsonArray(
  jsonObject<RpcFile>({
    url: ["url", jsonString],
    checksum: ["checksum", jsonHashHex],
    vmPath: ["vm_path", jsonString],
  }),
);

const payload = jsonVariants<RpcPayload>({
  empty: ["Empty", null],
  transfer: [
    "Transfer",
    jsonObject<Fields<"transfer">>({ to: ["to", jsonPublicKeyHex], value: ["value", jsonBigIntegerDecimal] }),
  ],
  stake: ["Stake", jsonObject<Fields<"stake">>({ value: ["value", jsonBigIntegerDecimal] })],
  unstake: ["Unstake", jsonObject<Fields<"unstake">>({ value: ["value", jsonBigIntegerDecimal] })],
  deploy: ["Deploy", jsonDeploy],
  run: ["Run", jsonRun],
  proof: [
    "Proof",
    jsonObject<RpcFields<"proof">>({
      parent: ["parent", jsonHashHex],
      prover: ["prover", jsonHashHex],
      proof: ["proof", jsonBytesBase64],
      files: ["files", files],
    }),
  ],
  proofKey: [
    "ProofKey",
    jsonObject<Fields<"proofKey">>({ parent: ["parent", jsonHashHex], key: ["key", jsonBytesHex] }),
  ],
  verification: [
    "Verification",
    jsonObject<RpcFields<"verification">>({
      parent: ["parent", jsonHashHex],
      verifier: ["verifier", jsonHashHex],
      verification: ["verification", jsonBytesBase64],
      files: ["files", files],
    }),
  ],
  cancel: ["Cancel", jsonObject<Fields<"cancel">>({ parent: ["parent", jsonHashHex] })],
});

const rpcTransaction = jsonObject<RpcTransaction>({
  author: ["author", jsonPublicKeyHex],
  hash: ["hash", jsonHashHex],
  payload: ["payload", payload],
  nonce: ["nonce", jsonU64],
  signature: ["signature", jsonSignatureHex],
});

/** The wire value, for `stringifyJson`. */
export function rpcTransactionToWire(value: RpcTransaction): unknown {
  return rpcTransaction.toJson(value);
}

/** Reads what `parseJson` gives. Throws `WIRE_VALUE_INVALID`. */
export function parseRpcTransaction(value: unknown): RpcTransaction {
  return rpcTransaction.fromJson(value, "");
}
