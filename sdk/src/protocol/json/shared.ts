import type { ProgramData, ProgramMetadata, Resources, WorkflowStep } from "../transaction.ts";
import { jsonArray, jsonNullable, jsonObject, jsonVariants } from "./combinators.ts";
import type { JsonCodec } from "./jsonCodec.ts";
import { jsonHashNumbers, jsonString, jsonU64 } from "./leaves.ts";

/** Deploy and Run have one form in a transaction and in the RPC's answer; this file has what they are made of. */

const resources = jsonObject<Resources>({
  memMib: ["mem", jsonU64],
  cpus: ["cpus", jsonU64],
  gpus: ["gpus", jsonU64],
});

export const jsonProgramMetadata = jsonObject<ProgramMetadata>({
  name: ["name", jsonString],
  hash: ["hash", jsonHashNumbers],
  imageFileName: ["image_file_name", jsonString],
  imageFileUrl: ["image_file_url", jsonString],
  imageFileChecksum: ["image_file_checksum", jsonString],
  resources: ["resource_requirements", jsonNullable(resources)],
});

type DataFields<K extends ProgramData["kind"]> = Omit<Extract<ProgramData, { kind: K }>, "kind">;

const programData = jsonVariants<ProgramData>({
  input: [
    "Input",
    jsonObject<DataFields<"input">>({
      fileName: ["file_name", jsonString],
      fileUrl: ["file_url", jsonString],
      checksum: ["checksum", jsonString],
    }),
  ],
  output: [
    "Output",
    jsonObject<DataFields<"output">>({
      sourceProgram: ["source_program", jsonHashNumbers],
      fileName: ["file_name", jsonString],
    }),
  ],
});

const steps = jsonArray(
  jsonObject<WorkflowStep>({
    program: ["program", jsonHashNumbers],
    args: ["args", jsonArray(jsonString)],
    inputs: ["inputs", jsonArray(programData)],
  }),
);

export interface DeployFields {
  readonly name: string;
  readonly prover: ProgramMetadata;
  readonly verifier: ProgramMetadata;
}

export const jsonDeploy = jsonObject<DeployFields>({
  name: ["name", jsonString],
  prover: ["prover", jsonProgramMetadata],
  verifier: ["verifier", jsonProgramMetadata],
});

export interface RunFields {
  readonly steps: readonly WorkflowStep[];
}

const workflow = jsonObject<RunFields>({ steps: ["steps", steps] });

/** `{"workflow": {"steps": […]}}`; the type knows no workflow of its own. */
const inWorkflow = jsonObject<{ workflow: RunFields }>({ workflow: ["workflow", workflow] });

export const jsonRun: JsonCodec<RunFields> = {
  toJson: ({ steps }) => inWorkflow.toJson({ workflow: { steps } }),
  fromJson: (json, path) => inWorkflow.fromJson(json, path).workflow,
};
