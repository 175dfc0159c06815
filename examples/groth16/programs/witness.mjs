/** Runs the circuit, as circom compiled it, on one input. */

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;
const U64 = 0xffffffffffffffffn;
const U32 = 0xffffffffn;
const WTNS_MAGIC = 0x736e7477;
const WTNS_VERSION = 2;

/**
 * @param {Uint8Array} wasm the compiled circuit
 * @param {bigint} preimage smaller than the field's prime
 * @returns {{ hash: bigint, wtns: Uint8Array }} the circuit's output, and the witness in snarkjs's file format
 */
export function calculateWitness(wasm, preimage) {
  const circuit = new WebAssembly.Instance(new WebAssembly.Module(wasm), { runtime: runtime() }).exports;
  const limbs = circuit.getFieldNumLen32();
  circuit.init(0);
  for (let limb = 0; limb < limbs; limb++) {
    circuit.writeSharedRWMemory(limb, Number((preimage >> BigInt(32 * limb)) & U32));
  }
  const name = fnv1a("preimage");
  circuit.setInputSignal(Number(name >> 32n), Number(name & U32), 0);

  const size = circuit.getWitnessSize();
  const values = new Uint32Array(size * limbs);
  for (let index = 0; index < size; index++) {
    circuit.getWitness(index);
    readShared(circuit, values.subarray(index * limbs, (index + 1) * limbs));
  }
  const prime = new Uint32Array(limbs);
  circuit.getRawPrime();
  readShared(circuit, prime);
  // Signal 0 is the constant one, signal 1 the circuit's output.
  return { hash: toBigInt(values.subarray(limbs, 2 * limbs)), wtns: wtnsFile(prime, size, values) };
}

function readShared(circuit, target) {
  for (let limb = 0; limb < target.length; limb++) target[limb] = circuit.readSharedRWMemory(limb);
}

/** Sections: 1 is the field (bytes a value, prime, number of values), 2 the values; lengths are 64 bits. */
function wtnsFile(prime, size, values) {
  const header = [prime.byteLength, ...prime, size];
  const words = [
    ...[WTNS_MAGIC, WTNS_VERSION, 2],
    ...[1, header.length * 4, 0, ...header],
    ...[2, values.byteLength, 0, ...values],
  ];
  return new Uint8Array(Uint32Array.from(words).buffer);
}

function runtime() {
  const nothing = () => {};
  return {
    exceptionHandler(code) {
      throw new Error(`the circuit stopped with code ${code}`);
    },
    printErrorMessage: nothing,
    writeBufferMessage: nothing,
    showSharedRWMemory: nothing,
  };
}

/** circom finds signals by this hash of their names. */
function fnv1a(name) {
  let hash = FNV_OFFSET;
  for (const byte of Buffer.from(name)) hash = ((hash ^ BigInt(byte)) * FNV_PRIME) & U64;
  return hash;
}

function toBigInt(limbs) {
  return limbs.reduceRight((value, limb) => (value << 32n) | BigInt(limb), 0n);
}
