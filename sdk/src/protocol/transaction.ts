/** 32 bytes as 64 lowercase hex digits. */
export type Hash = string;
/** An uncompressed secp256k1 point, 65 bytes beginning 0x04, as 130 lowercase hex digits. */
export type PublicKey = string;
/** ECDSA r then s, 32 bytes big-endian each, as 128 lowercase hex digits. */
export type Signature = string;

/** What a program asks of the machine: mebibytes of memory, processor cores, GPUs. */
export interface Resources {
  readonly memMib: bigint;
  readonly cpus: bigint;
  readonly gpus: bigint;
}

/** Protocol section 2. `hash` covers name, file name, URL and checksum, not the resources. */
export interface ProgramMetadata {
  readonly name: string;
  readonly hash: Hash;
  readonly imageFileName: string;
  readonly imageFileUrl: string;
  /** BLAKE3-256 of the image file, 64 lowercase hex digits. */
  readonly imageFileChecksum: string;
  /** `null` where the deployer gave none; see `DEFAULT_RESOURCES`. */
  readonly resources: Resources | null;
}

/** A file that a step takes: from a URL, or from the output of an earlier step. */
export type ProgramData =
  | { readonly kind: "input"; readonly fileName: string; readonly fileUrl: string; readonly checksum: string }
  | { readonly kind: "output"; readonly sourceProgram: Hash; readonly fileName: string };

export interface WorkflowStep {
  readonly program: Hash;
  readonly args: readonly string[];
  readonly inputs: readonly ProgramData[];
}

/** An output file. `name` is the path inside the VM, `url` the `http://host:port` of the node that made it. */
export interface TxFile {
  readonly name: string;
  readonly url: string;
  readonly checksum: Hash;
}

/** The ten payloads of protocol section 3, in the order of their wire index. */
export type Payload =
  | { readonly kind: "empty" }
  | { readonly kind: "transfer"; readonly to: PublicKey; readonly value: bigint }
  | { readonly kind: "stake"; readonly value: bigint }
  | { readonly kind: "unstake"; readonly value: bigint }
  | {
      readonly kind: "deploy";
      readonly name: string;
      readonly prover: ProgramMetadata;
      readonly verifier: ProgramMetadata;
    }
  | { readonly kind: "run"; readonly steps: readonly WorkflowStep[] }
  | {
      readonly kind: "proof";
      readonly parent: Hash;
      readonly prover: Hash;
      readonly proof: Uint8Array;
      readonly files: readonly TxFile[];
    }
  | { readonly kind: "proofKey"; readonly parent: Hash; readonly key: Uint8Array }
  | {
      readonly kind: "verification";
      readonly parent: Hash;
      readonly verifier: Hash;
      readonly verification: Uint8Array;
      readonly files: readonly TxFile[];
    }
  | { readonly kind: "cancel"; readonly parent: Hash };

export type PayloadKind = Payload["kind"];
type PayloadByKind = { readonly [P in Payload as P["kind"]]: P };
export type PayloadOf<K extends PayloadKind> = PayloadByKind[K];

/** Protocol section 3. Made by `signTransaction`; a received one is checked by `verifyTransaction`. */
export interface Transaction<K extends PayloadKind = PayloadKind> {
  readonly author: PublicKey;
  readonly hash: Hash;
  readonly payload: PayloadOf<K>;
  /** 0 to 2^64-1. */
  readonly nonce: bigint;
  readonly signature: Signature;
}
