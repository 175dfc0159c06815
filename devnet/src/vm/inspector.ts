import { createServer } from "node:net";
import type { Readable } from "node:stream";

/** How programs of Node.js are started for a debugger. */
export interface InspectOptions {
  /** On 127.0.0.1; 0 for any. Any, too, where another program has it. */
  readonly port: number;
  /** The program waits for the debugger before its first line. */
  readonly wait: boolean;
}

const SAID = /Debugger listening on (ws:\/\/\S+)/;
const MAX_CHARS = 4_096;

/** What Node.js is to be given. With a port that is taken, it would not start. */
export async function inspectFlag({ port, wait }: InspectOptions): Promise<string> {
  const flag = wait ? "--inspect-brk" : "--inspect";
  return `${flag}=127.0.0.1:${(await isFree(port)) ? port : 0}`;
}

/** Calls once with the address that Node.js says on its standard error. */
export function onInspector(stderr: Readable, onUrl: (url: string) => void): void {
  let text = "";
  const read = (chunk: Buffer): void => {
    text += chunk.toString();
    const url = SAID.exec(text)?.[1];
    if (url === undefined && text.length < MAX_CHARS) return;
    stderr.off("data", read);
    if (url !== undefined) onUrl(url);
  };
  stderr.on("data", read);
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}
