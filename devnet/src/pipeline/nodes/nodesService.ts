import { type ServerDuplexStream, status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import type { WireNodeBeat, WireNodeHello, WireStageBeat } from "../wire/messages.ts";
import { createNodeNames, refusalOfHello } from "./nodeHello.ts";
import type { NodePool } from "./nodePool.ts";

export interface NodesServiceOptions {
  readonly stageId: string;
  readonly dataAddr: () => string;
  readonly beatEveryMs: number;
  /** A node that is silent for so many beats is gone. */
  readonly missedBeats: number;
  /** False: only the nodes of the configuration's list get work. */
  readonly acceptsNodes: boolean;
}

export interface NodesServiceDeps {
  readonly pool: NodePool;
  /** Whether the run of a task that a node works on is over. */
  readonly isUnwanted: (taskId: string) => boolean;
}

/** `gevulot.pipeline.v1.StageNodes`: prover nodes register, stay while they beat, and leave when the call ends. */
export function createNodesService(
  { pool, isUnwanted }: NodesServiceDeps,
  options: NodesServiceOptions,
): UntypedServiceImplementation {
  const names = createNodeNames((id) => pool.nodes().some((node) => node.id === id && !node.isRegistered));
  return {
    Attend: (call: ServerDuplexStream<WireNodeBeat, WireStageBeat>) => {
      let place: ReturnType<NodePool["join"]> | null = null;
      let giveBackName = (): void => {};
      const limitMs = options.beatEveryMs * options.missedBeats;
      const leave = (): void => {
        clearTimeout(silence);
        place?.leave();
        place = null;
        giveBackName();
      };
      const silence = setTimeout(() => {
        leave();
        call.end();
      }, limitMs);
      const answer = (running: readonly string[]): void => {
        if (place === null) return;
        call.write({
          stage_id: options.stageId,
          data_addr: options.dataAddr(),
          beat_every_ms: options.beatEveryMs,
          unwanted: running.filter(isUnwanted),
        });
      };
      /** @returns why it is not taken */
      const join = (hello: WireNodeHello): Refusal | null => {
        if (!options.acceptsNodes) return { code: status.PERMISSION_DENIED, details: CLOSED };
        const reason = refusalOfHello(hello);
        if (reason !== null) return { code: status.INVALID_ARGUMENT, details: reason };
        const name = names.take(hello.node_id, { host: hostOf(call.getPeer()), addr: hello.addr });
        if (!name) return { code: status.ALREADY_EXISTS, details: taken(hello.node_id) };
        giveBackName = name;
        place = pool.join(hello);
        return null;
      };
      call.on("data", (beat: WireNodeBeat) => {
        silence.refresh();
        const refusal = beat.hello && place === null ? join(beat.hello) : null;
        if (refusal) return void call.emit("error", refusal);
        if (beat.alive) place?.hear(beat.alive);
        answer(beat.alive?.running ?? []);
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

interface Refusal {
  readonly code: status;
  readonly details: string;
}

const CLOSED =
  "this stage gives work to the nodes of its prover_addrs only: set accept_nodes = true in its configuration";

function taken(id: string): string {
  return `another node is registered as ${JSON.stringify(id)}: give each its own name in the configuration`;
}

/** Without the port. */
function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, "");
}
