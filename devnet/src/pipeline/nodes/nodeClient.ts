import { type ChannelCredentials, Client, connectivityState, Metadata, status } from "@grpc/grpc-js";
import { GRPC_OPTIONS } from "../wire/grpcLimits.ts";
import type { WireNodeDescription, WireTaskResponse } from "../wire/messages.ts";
import type { Protos } from "../wire/protos.ts";

export type TaskMethod = "SplitElf" | "Prove" | "Aggregate" | "SnarkProof" | "SingleNode";

/** An answer, or the reason why there is none. */
export type CallOutcome =
  | { readonly kind: "answered"; readonly response: WireTaskResponse }
  /** The node can't be reached, or went away: nothing is known of the task. */
  | { readonly kind: "lost"; readonly reason: string }
  /** It, or what lies before it, refuses the call, or what it answers can't be read. */
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "late" }
  | { readonly kind: "cancelled" };

/** A connection to one prover node. */
export interface NodeClient {
  readonly addr: string;
  call(
    method: TaskMethod,
    request: object,
    /** Where a node without the stage's disk finds the files that the request names. */
    metadata: Metadata,
    options: { readonly deadlineMs: number; readonly signal: AbortSignal },
  ): Promise<CallOutcome>;
  /** What a node of ours says of itself; another lacks the method. */
  describe(): Promise<WireNodeDescription>;
  isConnected(): boolean;
  /** The runs of these tasks are over: a node of ours ends their commands. Others don't know the call. */
  stop(taskIds: readonly string[]): Promise<void>;
  close(): void;
}

const QUICK_CALL_MS = 5_000;

/** The connection broke; a stream that is reset is INTERNAL in grpc-js. */
function isLost(code: number | undefined, message: string): boolean {
  if (code === status.UNAVAILABLE || code === status.CANCELLED) return true;
  return code === status.INTERNAL && message.includes("RST_STREAM");
}

export function createNodeClient(
  deps: {
    readonly protos: Pick<Protos, "prover" | "nodeInfo">;
    readonly credentials: ChannelCredentials;
  },
  addr: string,
): NodeClient {
  const methods = { ...deps.protos.prover, ...deps.protos.nodeInfo };
  const client = new Client(addr, deps.credentials, {
    ...GRPC_OPTIONS,
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 5_000,
  });
  const unary = <A>(
    method: string,
    request: object,
    deadlineMs: number,
    metadata = new Metadata(),
    signal?: AbortSignal,
  ): Promise<A> => {
    const { path, requestSerialize, responseDeserialize } = methods[method]!;
    return new Promise<A>((resolve, reject) => {
      const deadline = Date.now() + deadlineMs;
      const call = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        { deadline },
        (error, answer) => {
          // The node's signal lives on, and would keep the call and its request for as long.
          signal?.removeEventListener("abort", cancel);
          if (error) reject(error);
          else resolve(answer as A);
        },
      );
      const cancel = (): void => call.cancel();
      signal?.addEventListener("abort", cancel);
    });
  };

  return {
    addr,
    async call(method, request, metadata, { deadlineMs, signal }) {
      try {
        if (signal.aborted) return { kind: "cancelled" };
        const response = await unary<WireTaskResponse>(method, request, deadlineMs, metadata, signal);
        return { kind: "answered", response };
      } catch (error) {
        const { code, message } = error as { code?: number; message: string };
        if (signal.aborted) return { kind: "cancelled" };
        if (code === status.DEADLINE_EXCEEDED) return { kind: "late" };
        return { kind: isLost(code, message) ? "lost" : "failed", reason: message };
      }
    },
    describe: () => unary<WireNodeDescription>("Describe", {}, QUICK_CALL_MS),
    stop: (taskIds) =>
      unary("Stop", { computed_request_ids: taskIds }, QUICK_CALL_MS).then(
        () => {},
        () => {},
      ),
    isConnected: () => client.getChannel().getConnectivityState(false) === connectivityState.READY,
    close: () => client.close(),
  };
}
