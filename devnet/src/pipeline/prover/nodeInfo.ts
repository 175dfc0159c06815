import {
  type ServerUnaryCall,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { WireNodeDescription, WireNodeHello } from "../wire/messages.ts";
import type { TaskRuns } from "./taskRuns.ts";

/** `gevulot.pipeline.v1.NodeInfo`: what a stage and a node that registers say to each other, for stages that list it. */
export function createNodeInfoService(
  runs: Pick<TaskRuns, "running" | "isDraining" | "stop">,
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
    Stop: (
      call: ServerUnaryCall<{ computed_request_ids: string[] }, object>,
      done: sendUnaryData<object>,
    ) => {
      runs.stop(call.request.computed_request_ids);
      done(null, {});
    },
  };
}
