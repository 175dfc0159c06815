import { fileURLToPath } from "node:url";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { splitFieldFifteen } from "./splitFieldFifteen.ts";

const PROTO_DIR = fileURLToPath(new URL("../../../proto", import.meta.url));
const FILES = ["stage/v1/stage.proto", "prover/v1/prover.proto", "gevulot/pipeline/v1/pipeline.proto"];

export interface Protos {
  readonly stage: ServiceDefinition;
  readonly prover: ServiceDefinition;
  readonly stageNodes: ServiceDefinition;
  readonly stageData: ServiceDefinition;
  readonly nodeInfo: ServiceDefinition;
}

/**
 * The services of `proto/`. Messages have the wire's own names; u64 is a decimal string, an enum its number, an absent
 * optional field is missing.
 */
export function loadProtos(): Protos {
  const definition = loadSync(FILES, {
    includeDirs: [PROTO_DIR],
    keepCase: true,
    longs: String,
    enums: Number,
    defaults: true,
    arrays: true,
  });
  const service = (name: string) => definition[name] as ServiceDefinition;
  return {
    stage: takingOldElfIds(service("stage.v1.StageService")),
    prover: service("prover.v1.ProverService"),
    stageNodes: service("gevulot.pipeline.v1.StageNodes"),
    stageData: service("gevulot.pipeline.v1.StageData"),
    nodeInfo: service("gevulot.pipeline.v1.NodeInfo"),
  };
}

/** See {@link splitFieldFifteen}. A client that sends both numbers means the one under its own. */
function takingOldElfIds(stage: ServiceDefinition): ServiceDefinition {
  const generateProof = stage.GenerateProof!;
  const requestDeserialize = (bytes: Buffer): object => {
    const { bytes: rest, elfId } = splitFieldFifteen(bytes);
    const request = generateProof.requestDeserialize(Buffer.from(rest)) as { elf_id?: string };
    return elfId === null || request.elf_id ? request : { ...request, elf_id: elfId };
  };
  return { ...stage, GenerateProof: { ...generateProof, requestDeserialize } };
}
