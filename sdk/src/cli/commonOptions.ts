import type { InferredOptionTypes, Options } from "yargs";
import { optionInvalid } from "../context/checkOptions.ts";
import type { FileHostOptions } from "../context/platform.ts";
import { GevulotClient } from "../node/gevulotClient.ts";

export const commonOptions = {
  jsonurl: {
    alias: "j",
    type: "string",
    default: "http://localhost:9944",
    describe: "The node's JSON-RPC",
  },
  rpctimeout: { type: "number", describe: "For one call, in seconds" },
  keyfile: { alias: "k", type: "string", default: "localkey.pki", describe: "The key that signs" },
  json: { type: "boolean", default: false, describe: "One line of JSON" },
} as const satisfies Record<string, Options>;

export type CommonArguments = InferredOptionTypes<typeof commonOptions>;

export const listenOption = {
  "listen-addr": {
    alias: "l",
    type: "string",
    default: "127.0.0.1:8080",
    describe: "Where local files are served until the node has them",
  },
} as const satisfies Record<string, Options>;

/** Nothing is connected before it is used. Throws `OPTION_INVALID`. */
export function createClient(args: CommonArguments, listenAddr?: string): GevulotClient {
  const { rpctimeout } = args;
  if (!URL.canParse(args.jsonurl) || !/^https?:/.test(args.jsonurl)) {
    throw optionInvalid("--jsonurl", `"${args.jsonurl}" is no address; give one like http://localhost:9944`);
  }
  if (rpctimeout !== undefined && !(rpctimeout > 0)) {
    throw optionInvalid("--rpctimeout", "give a number of seconds above 0");
  }
  const timeoutMs = rpctimeout && rpctimeout * 1000;
  return new GevulotClient({
    url: args.jsonurl,
    keyFile: args.keyfile,
    ...(timeoutMs && { timeoutMs, sendTimeoutMs: timeoutMs }),
    ...(listenAddr !== undefined && { fileHost: parseListenAddr(listenAddr) }),
  });
}

function parseListenAddr(text: string): FileHostOptions {
  const match = /^(.+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65_535) {
    throw optionInvalid("--listen-addr", `"${text}" is no address; give one like 127.0.0.1:8080`);
  }
  return { host: (match[1] as string).replace(/^\[(.*)\]$/, "$1"), port };
}
