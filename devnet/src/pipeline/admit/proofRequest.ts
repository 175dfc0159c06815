/** `includes.v1.Step`. */
export const STEP = { Init: 0, Split: 1, Prove: 2, Agg: 3, Snark: 5, End: 6 } as const;

/** A `stage.v1.GenerateProofRequest`, decoded. Absent optional fields are undefined. */
export interface ProofRequest {
  readonly proofId: string;
  readonly elfData: Uint8Array;
  readonly blockData: readonly { readonly fileName: string; readonly fileContent: Uint8Array }[];
  readonly blockNo?: bigint | undefined;
  readonly segSize: number;
  /** SHA-256 hex, without `0x`. */
  readonly elfId?: string | undefined;
  readonly signature: string;
  readonly publicInput: Uint8Array;
  readonly privateInput: Uint8Array;
  readonly targetStep?: number | undefined;
  readonly compositeProof: boolean;
  readonly receiptInputs: readonly Uint8Array[];
  readonly receipts: readonly Uint8Array[];
  readonly fromStep?: number | undefined;
  readonly singleNode: boolean;
  readonly maxProverNum: number;
}
