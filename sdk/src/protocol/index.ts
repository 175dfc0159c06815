// For the error code that it declares, which no exported type leads to.
import "./json/jsonCodec.ts";

export { base64ToBytes, bytesToBase64 } from "./base64.ts";
export { type Codec, decode, encode } from "./bincode/codec.ts";
export { decodeTransaction, encodeTransaction } from "./bincode/transactionCodec.ts";
export { canonicalPayload } from "./canonicalPayload.ts";
export { isHash, parseHash, sha3_256 } from "./hash.ts";
export { bytesToHex, hexToBytes } from "./hex.ts";
export {
  DEFAULT_MAX_JSON_CHARS,
  DEFAULT_MAX_JSON_DEPTH,
  type ParseJsonOptions,
  parseJson,
} from "./json/parseJson.ts";
export { stringifyJson } from "./json/stringifyJson.ts";
export { parseTransaction, transactionToJson, transactionToWire } from "./json/transactionJson.ts";
export { openKeyCapsule, sealKeyCapsule } from "./keyCapsule.ts";
export {
  checkSecretKey,
  generateSecretKey,
  PUBLIC_KEY_BYTES,
  parsePublicKey,
  publicKeyOf,
  SECRET_KEY_BYTES,
} from "./keys.ts";
export { createProgramMetadata, DEFAULT_RESOURCES, type ProgramIdentity, programHash } from "./program.ts";
export { formatVolume, type ProgramVolume, parseVolume, volumesOfUrl } from "./programVolumes.ts";
export {
  parseRpcError,
  type RpcError,
  type RpcErrorKind,
  rpcErrorText,
  rpcErrorToWire,
} from "./rpc/rpcError.ts";
export { errReplyToWire, okReplyToWire, parseRpcReply, type RpcReply } from "./rpc/rpcReply.ts";
export {
  parseRpcTransaction,
  type RpcFile,
  type RpcPayload,
  type RpcPayloadOf,
  type RpcTransaction,
  rpcTransactionToWire,
} from "./rpc/rpcTransaction.ts";
export { outputFilePath, type ToRpcTransactionOptions, toRpcTransaction } from "./rpc/toRpcTransaction.ts";
export { parseTransactionTree, type TransactionTree, transactionTreeToWire } from "./rpc/transactionTree.ts";
export { type Authenticity, verifyRpcTransaction } from "./rpc/verifyRpcTransaction.ts";
export { hashToWire, parseWireHash } from "./rpc/wireHash.ts";
export { SIGNATURE_BYTES, signMessage, verifySignature } from "./signature.ts";
export { randomNonce, type SignTransactionOptions, signTransaction } from "./signTransaction.ts";
export type * from "./transaction.ts";
export { signingMessage, transactionHash } from "./transactionHash.ts";
export { VERIFY_ERROR_CODES, type Verdict, type VerifyDeps, verifyTransaction } from "./verifyTransaction.ts";
