import type { ServerDuplexStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import type { WireNodeBeat, WireStageBeat } from "../wire/messages.ts";
import type { NodePool } from "./nodePool.ts";

export interface NodesServiceOptions {
  readonly stageId: string;
  readonly dataAddr: () => string;
  readonly beatEveryMs: number;
  /** A node that is silent for so many beats is gone. */
  readonly missedBeats: number;
}

/** `gevulot.pipeline.v1.StageNodes`: prover nodes register, stay while they beat, and leave when the call ends. */
export function createNodesService(
  pool: NodePool,
  options: NodesServiceOptions,
): UntypedServiceImplementation {
  return {
    Attend: (call: ServerDuplexStream<WireNodeBeat, WireStageBeat>) => {
      let place: ReturnType<NodePool["join"]> | null = null;
      const limitMs = options.beatEveryMs * options.missedBeats;
      const leave = (): void => {
        clearTimeout(silence);
        place?.leave();
        place = null;
      };
      const silence = setTimeout(() => {
        leave();
        call.end();
      }, limitMs);
      call.on("data", (beat: WireNodeBeat) => {
        silence.refresh();
        if (beat.hello) place = pool.join(beat.hello);
        else if (beat.alive) place?.drain(beat.alive.draining);
        call.write({
          stage_id: options.stageId,
          data_addr: options.dataAddr(),
          beat_every_ms: options.beatEveryMs,
        });
      });
      call.on("end", () => {
        leave();
        call.end();
      });
      call.on("cancelled", leave);
      call.on("error", leave);
    },
  };
}
