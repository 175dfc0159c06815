export function calculateWitness(wasm: Uint8Array, preimage: bigint): { hash: bigint; wtns: Uint8Array };
