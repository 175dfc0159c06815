import type { PipelineClient, StageClientOptions } from "../pipeline/pipelineClient.ts";

/** A pipeline client whose code is loaded by its first call: most apps make none. */
export function createLazyPipeline(options: StageClientOptions): PipelineClient {
  let loading: Promise<PipelineClient> | undefined;
  const load = (): Promise<PipelineClient> => {
    loading ??= import("./later.ts").then((loaded) => loaded.createStageClient(options));
    return loading;
  };
  return {
    getAddress: async () => (await load()).getAddress(),
    submit: async (run) => (await load()).submit(run),
    status: async (proofId) => (await load()).status(proofId),
    wait: async (proofId, options) => (await load()).wait(proofId, options),
    result: async (run) => (await load()).result(run),
    list: async (options) => (await load()).list(options),
    cancel: async (proofId) => (await load()).cancel(proofId),
    retry: async (proofId) => (await load()).retry(proofId),
  };
}
