/** Messages as @grpc/proto-loader gives and takes them: the wire's names, u64 as decimal strings, enums as numbers. */

export interface WireGenerateProofRequest {
  readonly proof_id: string;
  readonly elf_data: Buffer;
  readonly block_data: readonly { readonly file_name: string; readonly file_content: Buffer }[];
  readonly block_no?: string;
  readonly seg_size: number;
  readonly elf_id?: string;
  readonly signature: string;
  readonly public_input_stream: Buffer;
  readonly private_input_stream: Buffer;
  readonly target_step?: number;
  readonly composite_proof: boolean;
  readonly receipt_inputs: readonly Buffer[];
  readonly receipts: readonly Buffer[];
  readonly from_step?: number;
  readonly single_node: boolean;
  readonly max_prover_num: number;
}

export interface WireGenerateProofResponse {
  readonly status: number;
  readonly error_message?: string;
  readonly proof_id?: string;
  readonly snark_proof_url?: string;
  readonly stark_proof_url?: string;
  readonly output_stream?: Uint8Array;
  readonly public_values_url?: string;
}

export interface WireGetStatusResponse {
  readonly proof_id: string;
  readonly status: number;
  readonly proof_with_public_inputs?: Uint8Array;
  readonly snark_proof_url?: string;
  readonly stark_proof_url?: string;
  readonly output_stream?: Uint8Array;
  readonly step: number;
  readonly public_values_url?: string;
  readonly total_steps?: string;
  readonly receipt?: Uint8Array;
  readonly proving_time?: string;
  readonly error_message?: string;
}

/** `prover.v1.ResultCode`. */
export const RESULT_CODE = {
  OK: 0,
  INVALID_PARAMETER: 1,
  INTERNAL_ERROR: 2,
  BUSY: 3,
  UNSPECIFIED: 4,
} as const;

/** What all answers of a prover node have; each method adds its output. */
export interface WireTaskResponse {
  readonly proof_id: string;
  readonly computed_request_id: string;
  readonly result: { readonly code: number; readonly message: string } | null;
  readonly total_steps?: string;
  readonly total_segments?: number;
  readonly output_receipt?: Buffer;
  readonly agg_receipt?: Buffer;
  readonly snark_proof_with_public_inputs?: Buffer;
  readonly output?: Buffer;
}

export interface WireNodeHello {
  readonly node_id: string;
  readonly name: string;
  readonly addr: string;
  readonly can: readonly string[];
  readonly slots: number;
  readonly waiting_room: number;
  readonly cores: number;
  readonly mem_mib: string;
  readonly gpus: number;
  readonly labels: readonly string[];
  readonly base_id: string;
}

export interface WireNodeAlive {
  readonly draining: boolean;
  readonly running: readonly string[];
}

export interface WireNodeBeat {
  readonly hello?: WireNodeHello;
  readonly alive?: WireNodeAlive;
}

export interface WireNodeDescription {
  readonly hello: WireNodeHello;
  readonly alive: WireNodeAlive;
}

export interface WireStageBeat {
  readonly stage_id: string;
  readonly data_addr: string;
  readonly beat_every_ms: number;
  readonly unwanted: readonly string[];
}

export interface WirePutChunk {
  readonly head?: {
    readonly sha256: string;
    readonly total_bytes: string;
    readonly computed_request_id: string;
    readonly segment?: number;
    readonly file: string;
  } | null;
  readonly data: Buffer;
}

/**
 * Calls to our own nodes carry these beside the contract's fields, which name paths: where the data lies, and the
 * SHA-256 of each file by its path. A node that sees the path on its own disk needs neither.
 */
export const METADATA_DATA_ADDR = "gevulot-data-addr";
export const METADATA_FILES = "gevulot-files-bin";
/** Instead of it where that would be long: the SHA-256 of the data that holds it. */
export const METADATA_FILES_SHA256 = "gevulot-files-sha256";
