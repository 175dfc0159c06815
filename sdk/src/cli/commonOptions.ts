import type { InferredOptionTypes, Options } from "yargs";
import type { GevulotClientOptions } from "../client/coreClient.ts";
import { optionInvalid } from "../context/checkOptions.ts";
import type { FileMode } from "../context/context.ts";
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
  token: {
    type: "string",
    describe: "The node's access token, where it wants one; better by the variable GEVULOT_TOKEN",
  },
  json: { type: "boolean", default: false, describe: "One line of JSON" },
} as const satisfies Record<string, Options>;

export type CommonArguments = InferredOptionTypes<typeof commonOptions>;
export type FileArguments = InferredOptionTypes<typeof fileOptions>;

/** Stands for none where it is empty, as variables often are. */
const TOKEN_VARIABLE = "GEVULOT_TOKEN";

export const fileOptions = {
  "listen-addr": {
    alias: "l",
    type: "string",
    default: "127.0.0.1:8080",
    describe: "Where local files are served until the node has them",
  },
  advertise: { type: "string", describe: "Host name or address of this machine, as the node reaches it" },
  files: {
    choices: ["auto", "serve", "upload"],
    default: "auto",
    describe:
      "How the node gets local files: auto uploads them where the node is on another machine, takes uploads, and was given no address of this one",
  },
  "upload-url": {
    type: "string",
    describe: "The node's file server, where its own word for it does not lead there",
  },
} as const satisfies Record<string, Options>;

/** Nothing is connected before it is used. Throws `OPTION_INVALID`. */
export function createClient(args: CommonArguments, files?: FileArguments): GevulotClient {
  const { rpctimeout, token = process.env[TOKEN_VARIABLE] } = args;
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
    ...(token && { accessToken: checkToken(token) }),
    ...(files && fileOptionsOf(files)),
  });
}

function checkToken(token: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw optionInvalid("--token", `give the token's text, without blanks (or set ${TOKEN_VARIABLE}).`);
}

function fileOptionsOf(args: FileArguments): GevulotClientOptions {
  const { files, advertise, "upload-url": uploadUrl } = args;
  if (uploadUrl !== undefined && (!URL.canParse(uploadUrl) || !/^https?:/.test(uploadUrl)))
    throw optionInvalid("--upload-url", `"${uploadUrl}" is no address; give one like http://localhost:9995`);
  const fileHost: FileHostOptions = {
    ...parseListenAddr(args["listen-addr"]),
    ...(advertise && { advertise }),
    // Protocol section 10.
    paths: "path",
  };
  return { files: files as FileMode, fileHost, ...(uploadUrl !== undefined && { uploadUrl }) };
}

function parseListenAddr(text: string): FileHostOptions {
  const match = /^(.+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65_535) {
    throw optionInvalid("--listen-addr", `"${text}" is no address; give one like 127.0.0.1:8080`);
  }
  return { host: (match[1] as string).replace(/^\[(.*)\]$/, "$1"), port };
}
