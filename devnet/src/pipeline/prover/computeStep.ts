import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import type { PipelineConfig } from "../config.ts";
import type { DataClient } from "../data/dataClient.ts";
import { readFileList } from "../data/fileList.ts";
import type { SharedBase } from "../data/sharedBase.ts";
import type { TaskMethod } from "../nodes/nodeClient.ts";
import type { StepKeys } from "../steps/stepKeys.ts";
import type { StepRunner } from "../steps/stepRunner.ts";
import { METADATA_DATA_ADDR, RESULT_CODE } from "../wire/messages.ts";
import { reachableAddr } from "./reachableAddr.ts";
import { runStep, STEP_OF } from "./steps.ts";
import { createTaskFiles } from "./taskFiles.ts";
import type { Answer, Asked } from "./taskRun.ts";
import { refused } from "./taskRuns.ts";

/** Runs the step that is configured for a method, and answers with what came of it. */
export async function computeStep(
  deps: {
    readonly base: SharedBase;
    readonly dataClient: (addr: string) => DataClient;
    readonly latest: () => Asked;
    readonly keys: StepKeys;
    readonly run: StepRunner;
    /** Tells requests apart: see requestHash.ts. */
    readonly requestId: string;
    /** Of this node alone, also where its base folder is shared. */
    readonly workDir: string;
  },
  config: PipelineConfig,
  method: TaskMethod,
  { request, metadata }: Asked,
  signal: AbortSignal,
): Promise<Answer> {
  const step = config.steps[STEP_OF[method]];
  if (!step) {
    const reason = `this node is not configured for ${STEP_OF[method]}: set it in [steps]`;
    return refused(RESULT_CODE.INVALID_PARAMETER, reason);
  }
  const data = metadata.get(METADATA_DATA_ADDR).length === 0 ? null : followStage(deps, config.stage_addrs);
  try {
    const files = createTaskFiles({
      base: deps.base,
      files: data
        ? await readFileList(metadata, async (hash) => readFile(await data.fetch(hash, signal)))
        : {},
      data,
      signal,
    });
    const places = { workDir: deps.workDir, resumeFile: join(deps.base.dir, "sent-runs", deps.requestId) };
    const answer = await runStep(method, step, request, {
      ...{ files, data, keys: deps.keys, run: deps.run },
      ...places,
      signal,
    });
    return { ...answer, result: { code: RESULT_CODE.OK, message: "" } };
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string };
    const isRefused = code === status.INVALID_ARGUMENT;
    return refused(isRefused ? RESULT_CODE.INVALID_PARAMETER : RESULT_CODE.INTERNAL_ERROR, message);
  }
}

/** Data goes to the stage that asked last: the one that asked first may be gone. */
function followStage(
  { dataClient, latest }: Pick<Parameters<typeof computeStep>[0], "dataClient" | "latest">,
  stageAddrs: readonly string[],
): DataClient {
  const current = (): DataClient => {
    const { metadata, peer } = latest();
    const addr = String(metadata.get(METADATA_DATA_ADDR)[0]);
    return dataClient(reachableAddr(addr, { stageAddrs, peer }));
  };
  return {
    fetch: (hash, signal) => current().fetch(hash, signal),
    sendFile: (path, target) => current().sendFile(path, target),
    close: () => {},
  };
}
