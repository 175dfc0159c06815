import { toTwosComplement } from "./bigInteger.ts";
import { encodeTxFiles } from "./bincode/txFileCodec.ts";
import { concatBytes, utf8 } from "./bytes.ts";
import { hexToBytes } from "./hex.ts";
import type { Payload, ProgramData, ProgramMetadata } from "./transaction.ts";

/** The bytes of a payload that go into a transaction's hash: protocol section 3, the table's last column. */
export function canonicalPayload(payload: Payload): Uint8Array {
  return concatBytes(partsOf(payload));
}

function partsOf(payload: Payload): Uint8Array[] {
  switch (payload.kind) {
    case "empty":
      return [];
    case "transfer":
      return [hexToBytes(payload.to), toTwosComplement(payload.value)];
    case "stake":
    case "unstake":
      return [toTwosComplement(payload.value)];
    case "deploy":
      return [utf8(payload.name), ...programParts(payload.prover), ...programParts(payload.verifier)];
    case "run":
      return payload.steps.flatMap((step) => [
        hexToBytes(step.program),
        ...step.args.map(utf8),
        ...step.inputs.flatMap(dataParts),
      ]);
    case "proof":
      // The existing node writes the proof twice; every signature of a Proof depends on it.
      return [
        hexToBytes(payload.parent),
        hexToBytes(payload.prover),
        payload.proof,
        payload.proof,
        encodeTxFiles(payload.files),
      ];
    case "proofKey":
      return [hexToBytes(payload.parent), payload.key];
    case "verification":
      return [
        hexToBytes(payload.parent),
        hexToBytes(payload.verifier),
        payload.verification,
        encodeTxFiles(payload.files),
      ];
    case "cancel":
      return [hexToBytes(payload.parent)];
  }
}

function programParts(program: ProgramMetadata): Uint8Array[] {
  return [
    utf8(program.name),
    hexToBytes(program.hash),
    utf8(program.imageFileName),
    utf8(program.imageFileUrl),
    utf8(program.imageFileChecksum),
  ];
}

function dataParts(data: ProgramData): Uint8Array[] {
  return data.kind === "input"
    ? [utf8(data.fileName), utf8(data.fileUrl), utf8(data.checksum)]
    : [hexToBytes(data.sourceProgram), utf8(data.fileName)];
}
