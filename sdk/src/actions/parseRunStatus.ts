import { jsonArray, jsonNullable, jsonObject } from "../protocol/json/combinators.ts";
import { jsonHashHex, jsonPublicKeyHex, jsonString } from "../protocol/json/leaves.ts";
import type { RunStatus, TaskAttempt, TaskFailure, TaskStatus, UnreachedPeers } from "../runStatus.ts";
import { jsonInteger, jsonWord } from "./jsonStatus.ts";

/** Of a task or a Run; null where it has not failed. */
export const jsonTaskFailure = jsonNullable(
  jsonObject<TaskFailure>({
    code: ["code", jsonWord()],
    message: ["message", jsonString],
    step: ["step", jsonInteger],
    exitCode: ["exitCode", jsonNullable(jsonInteger)],
    signal: ["signal", jsonNullable(jsonString)],
    consoleTail: ["consoleTail", jsonString],
  }),
);

const attempt = jsonObject<TaskAttempt>({
  number: ["number", jsonInteger],
  provider: ["provider", jsonWord()],
  accelerator: ["accelerator", jsonWord()],
  vsock: ["vsock", jsonNullable(jsonWord())],
  pid: ["pid", jsonNullable(jsonInteger)],
  imageChecksum: ["imageChecksum", jsonString],
  queuedAt: ["queuedAt", jsonString],
  startedAt: ["startedAt", jsonString],
  bootedAt: ["bootedAt", jsonNullable(jsonString)],
  programStartedAt: ["programStartedAt", jsonNullable(jsonString)],
  endedAt: ["endedAt", jsonNullable(jsonString)],
  failure: ["failure", jsonTaskFailure],
  consoleTail: ["consoleTail", jsonString],
  peakMemBytes: ["peakMemBytes", jsonNullable(jsonInteger)],
  outputBytes: ["outputBytes", jsonNullable(jsonInteger)],
});

const task = jsonObject<TaskStatus>({
  id: ["id", jsonString],
  node: ["node", jsonNullable(jsonPublicKeyHex)],
  step: ["step", jsonInteger],
  kind: ["kind", jsonWord()],
  program: ["program", jsonHashHex],
  programName: ["programName", jsonString],
  proof: ["proof", jsonNullable(jsonHashHex)],
  state: ["state", jsonWord()],
  waitsFor: ["waitsFor", jsonNullable(jsonString)],
  attempts: ["attempts", jsonArray(attempt)],
  result: ["result", jsonNullable(jsonHashHex)],
  failure: ["failure", jsonTaskFailure],
});

const unreached = jsonArray(
  jsonObject<UnreachedPeers>({
    tx: ["tx", jsonHashHex],
    bytes: ["bytes", jsonInteger],
    peers: ["peers", jsonArray(jsonString)],
  }),
);

const runStatus = jsonObject<RunStatus>({
  run: ["run", jsonHashHex],
  state: ["state", jsonWord()],
  submittedAt: ["submittedAt", jsonString],
  endedAt: ["endedAt", jsonNullable(jsonString)],
  tasks: ["tasks", jsonArray(task)],
  proofs: ["proofs", jsonArray(jsonHashHex)],
  verifications: ["verifications", jsonArray(jsonHashHex)],
  // A node of before says nothing of it.
  unreached: ["unreached", { ...unreached, fromJson: (json, path) => unreached.fromJson(json ?? [], path) }],
  failure: ["failure", jsonTaskFailure],
});

/** Reads what `getRunStatus` answers. Throws `WIRE_VALUE_INVALID`. */
export function parseRunStatus(value: unknown): RunStatus {
  return runStatus.fromJson(value, "");
}
