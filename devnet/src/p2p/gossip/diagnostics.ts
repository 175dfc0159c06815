import type { Peer } from "../mesh/peer.ts";
import type { PeerNetworkDeps } from "../peerNetwork.ts";
import type { Diagnostics, DiagnosticsKind, Message } from "../wire/message.ts";
import { zstdStored, zstdText } from "./zstd.ts";

/** Longer metrics don't fit into a message; they are cut at a line. */
const MAX_METRICS_BYTES = 60_000;
const MAX_MIB = 2 ** 40;
const METRICS_TIMEOUT_MS = 5_000;

/** Asks peers about themselves, and answers what they ask (protocol section 7, point 4). */
export interface DiagnosticsDesk {
  handle(peer: Peer, message: Extract<Message, { type: "request" | "response" }>): Promise<void>;
  ask(peer: Peer, kind: DiagnosticsKind): void;
  /** The next metrics that the peer tells; null where it knows none (version 0), leaves, or says nothing for 5 s. */
  metricsOf(peer: Peer): Promise<string | null>;
  peerLeft(peer: Peer): void;
}

export interface DiagnosticsDeps extends Pick<PeerNetworkDeps, "resources" | "metrics"> {
  /** 130 hex digits; a beacon has a key of this moment only. */
  readonly publicKey: string;
  readonly softwareVersion: Extract<Diagnostics, { kind: "version" }>;
  readonly onChange: () => void;
}

export function createDiagnosticsDesk(deps: DiagnosticsDeps): DiagnosticsDesk {
  const waiting = new Map<Peer, ((text: string | null) => void)[]>();

  const answer = async (kind: DiagnosticsKind): Promise<Diagnostics> => {
    if (kind === "version") return deps.softwareVersion;
    if (kind === "metrics") return { kind, bytes: zstdStored(cutMetrics(await deps.metrics())) };
    const { memMib, cpus, gpus } = deps.resources();
    return { kind, mem: BigInt(memMib), cpus: BigInt(cpus), gpus: BigInt(gpus) };
  };
  const tellMetrics = (peer: Peer, text: string | null): void => {
    const waiters = waiting.get(peer) ?? [];
    waiting.delete(peer);
    for (const resolve of waiters) resolve(text);
  };
  const learn = (peer: Peer, publicKey: string, diagnostics: Diagnostics): void => {
    peer.tell({ publicKey });
    if (diagnostics.kind === "metrics") tellMetrics(peer, zstdText(diagnostics.bytes));
    else if (diagnostics.kind === "version") {
      const { major, minor, patch, build } = diagnostics;
      peer.tell({ softwareVersion: `${major}.${minor}.${patch} ${build}`.trim().slice(0, 100) });
    } else {
      const number = (value: bigint) => (value > BigInt(MAX_MIB) ? MAX_MIB : Number(value));
      const { mem, cpus, gpus } = diagnostics;
      peer.tell({ resources: { memMib: number(mem), cpus: number(cpus), gpus: number(gpus) } });
    }
    deps.onChange();
  };

  return {
    async handle(peer, message) {
      if (message.type === "response") return learn(peer, message.publicKey, message.diagnostics);
      // Answers are longer than questions: who asks without end is not answered.
      if (!peer.questions.take()) return;
      const { publicKey } = deps;
      peer.sendContract({ type: "response", publicKey, diagnostics: await answer(message.kind) });
    },
    ask: (peer, kind) => void peer.sendContract({ type: "request", kind }),
    metricsOf(peer) {
      if (peer.info.protocolVersion === 0) return Promise.resolve(null);
      const told = new Promise<string | null>((resolve) => {
        const tell = (text: string | null) => {
          clearTimeout(timer);
          resolve(text);
        };
        const timer = setTimeout(() => {
          waiting.set(peer, waiting.get(peer)?.filter((each) => each !== tell) ?? []);
          tell(null);
        }, METRICS_TIMEOUT_MS);
        waiting.set(peer, [...(waiting.get(peer) ?? []), tell]);
      });
      peer.sendContract({ type: "request", kind: "metrics" });
      return told;
    },
    peerLeft: (peer) => tellMetrics(peer, null),
  };
}

function cutMetrics(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_METRICS_BYTES) return bytes;
  return bytes.subarray(0, bytes.lastIndexOf("\n", MAX_METRICS_BYTES - 1) + 1);
}
