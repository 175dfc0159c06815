import { type ChannelCredentials, Client, type Interceptor, type ServiceDefinition } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { GRPC_OPTIONS } from "../wire/grpcLimits.ts";
import type { WireNodeHello, WireStageBeat } from "../wire/messages.ts";

export interface AttendDeps {
  readonly log: Logger;
  readonly stageNodes: ServiceDefinition;
  readonly credentials: ChannelCredentials;
  readonly interceptorsOf?: (stageAddr: string) => Interceptor[];
  readonly running: () => string[];
  readonly isDraining: () => boolean;
  /** Of what runs the tasks whose runs are over. */
  readonly onUnwanted: (ids: readonly string[]) => void;
  /** Where a stage says that its data is; `peer` is the address of the connection. */
  readonly onDataAddr: (stageAddr: string, dataAddr: string, peer: string) => void;
}

const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;
const FIRST_BEAT_MS = 1_000;
const CHANNEL = {
  ...GRPC_OPTIONS,
  "grpc.initial_reconnect_backoff_ms": FIRST_RETRY_MS,
  "grpc.max_reconnect_backoff_ms": LONGEST_RETRY_MS,
};

export interface Attendance extends AsyncDisposable {
  /** Says how it is now, not only at the next beat. */
  beat(): void;
}

/**
 * Registers with a stage and stays registered: beats, and comes again after every break.
 * @param readHello at each registration: a stage may begin to work in this node's base folder after the node started
 */
export function attendStage(
  deps: AttendDeps,
  stageAddr: string,
  readHello: () => Promise<WireNodeHello>,
): Attendance {
  const { path, requestSerialize, responseDeserialize } = deps.stageNodes.Attend!;
  const channel = { ...CHANNEL, interceptors: deps.interceptorsOf?.(stageAddr) ?? [] };
  const client = new Client(stageAddr, deps.credentials, channel);
  let isStopping = false;
  let timer: NodeJS.Timeout | undefined;
  let hangUp = (): void => {};
  let tell = (): void => {};
  let failures = 0;

  const attend = (): void => {
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    let everyMs = FIRST_BEAT_MS;
    let isOver = false;
    hangUp = () => call.end();
    tell = () => call.write({ alive: { draining: deps.isDraining(), running: deps.running() } });
    const beat = (): void => {
      tell();
      timer = setTimeout(beat, everyMs);
    };
    const over = (reason: string): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      tell = () => {};
      if (isStopping) return;
      if (failures === 0)
        deps.log.warn({ stage: stageAddr, reason }, "the stage can't be reached; trying again");
      const waitMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures);
      failures += 1;
      timer = setTimeout(attend, waitMs);
    };
    call.on("data", (beat: WireStageBeat) => {
      if (failures > 0 || everyMs === FIRST_BEAT_MS)
        deps.log.info({ stage: stageAddr }, "registered with the stage");
      failures = 0;
      everyMs = beat.beat_every_ms || everyMs;
      deps.onDataAddr(stageAddr, beat.data_addr, call.getPeer());
      if (beat.unwanted.length > 0) deps.onUnwanted(beat.unwanted);
    });
    call.on("error", (error: Error) => over(error.message));
    call.on("end", () => over("the stage ended the call"));
    readHello().then(
      (hello) => {
        if (isOver || isStopping) return;
        call.write({ hello });
        timer = setTimeout(beat, everyMs);
      },
      (error: Error) => {
        call.cancel();
        over(error.message);
      },
    );
  };
  attend();

  return {
    beat: () => tell(),
    async [Symbol.asyncDispose]() {
      isStopping = true;
      clearTimeout(timer);
      hangUp();
      client.close();
    },
  };
}
