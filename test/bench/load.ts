import { connect } from "node:net";

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers that are not HTTP 200 with an `Ok`. */
  readonly errors: number;
}

const TIMEOUT_MS = 30_000;

/**
 * Posts all bodies over so many connections, one call at a time on each. On bare sockets: Node's HTTP client would take
 * more of the processor than the server that is measured.
 */
export async function loadOverHttp(
  url: URL,
  bodies: readonly string[],
  connections: number,
): Promise<LoadResult> {
  const latencies: number[] = [];
  let next = 0;
  let errors = 0;
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const socket = connect(Number(url.port), url.hostname);
      socket.setNoDelay(true).setTimeout(TIMEOUT_MS, () => socket.destroy(new Error("no answer in time")));
      let sentAt = 0;
      let received = "";
      const send = (): void => {
        const body = bodies[next++];
        if (body === undefined) {
          socket.end();
          resolve();
          return;
        }
        sentAt = performance.now();
        const head = `POST / HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\n`;
        socket.write(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      };
      socket.setEncoding("latin1").on("data", (chunk: string) => {
        received += chunk;
        const headEnd = received.indexOf("\r\n\r\n");
        if (headEnd < 0) return;
        const length = Number(/content-length: (\d+)/i.exec(received)?.[1]);
        if (received.length < headEnd + 4 + length) return;
        latencies.push(performance.now() - sentAt);
        if (!received.startsWith("HTTP/1.1 200") || !received.includes('"Ok":')) errors++;
        received = "";
        send();
      });
      socket.on("error", reject).on("connect", send);
    });
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: connections }, one));
  const seconds = (performance.now() - startedAt) / 1_000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor((latencies.length - 1) * share)] ?? Number.NaN;
  return { perSecond: latencies.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99), errors };
}
