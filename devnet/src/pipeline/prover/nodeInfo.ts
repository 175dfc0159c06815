import { type sendUnaryData, status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import type { WireNodeDescription, WireNodeHello } from "../wire/messages.ts";
import type { TaskRuns } from "./taskRuns.ts";

/** `gevulot.pipeline.v1.NodeInfo`: what the node says when it registers, to stages that list it. */
export function createNodeInfoService(
  runs: Pick<TaskRuns, "running" | "isDraining">,
  readHello: () => Promise<WireNodeHello>,
): UntypedServiceImplementation {
  return {
    Describe: (_call: unknown, done: sendUnaryData<WireNodeDescription>) => {
      const alive = { draining: runs.isDraining(), running: runs.running() };
      readHello().then(
        (hello) => done(null, { hello, alive }),
        (error: Error) => done({ code: status.INTERNAL, details: error.message }),
      );
    },
  };
}
