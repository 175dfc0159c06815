import { readFile } from "node:fs/promises";
import { GevulotError } from "gevulot-sdk";
import { isLoopback } from "./origins.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    RPC_UNPROTECTED: { host: string };
    ACCESS_TOKEN_INVALID: { path: string };
  }
}

export interface AccessTokenOptions {
  /** Where the RPC listens. */
  readonly host: string;
  readonly tokenFile?: string | undefined;
  /** Whoever reaches the port may use it. */
  readonly allowOpenRpc: boolean;
}

const MIN_TOKEN_CHARS = 16;

/**
 * Reads the token, null where there is none. Throws `RPC_UNPROTECTED` where the RPC would be open to others by mistake.
 */
export async function readAccessToken(options: AccessTokenOptions): Promise<string | null> {
  const { host, tokenFile: path, allowOpenRpc } = options;
  if (path === undefined) {
    if (isLoopback(host) || allowOpenRpc) return null;
    throw new GevulotError(
      "RPC_UNPROTECTED",
      `The RPC would listen on ${host}, beyond this machine, open to whoever reaches it. Give --access-token-file, or --allow-open-rpc if something else protects it.`,
      { context: { host } },
    );
  }
  const token = await readFile(path, "utf8").then(
    (text) => text.trim(),
    (cause: Error) => {
      throw invalid(path, `can't be read (${cause.message})`, cause);
    },
  );
  if (token.length < MIN_TOKEN_CHARS || /[^\x21-\x7e]/.test(token)) {
    throw invalid(
      path,
      `must hold one token: at least ${MIN_TOKEN_CHARS} printable characters without spaces`,
    );
  }
  return token;
}

function invalid(path: string, problem: string, cause?: Error): GevulotError {
  return new GevulotError(
    "ACCESS_TOKEN_INVALID",
    `The access token file ${path} ${problem}. Make one, for instance: openssl rand -hex 32 > ${path}`,
    { context: { path }, cause },
  );
}
