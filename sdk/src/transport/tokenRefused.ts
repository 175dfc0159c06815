import { GevulotError } from "../errors.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** The node wants an access token, or another one. */
    TOKEN_REFUSED: { url: string };
  }
}

export const UNAUTHORIZED = 401;

export function tokenRefused(url: string, token: string | undefined): GevulotError<"TOKEN_REFUSED"> {
  const problem = token === undefined ? "wants an access token" : "does not take this access token";
  return new GevulotError(
    "TOKEN_REFUSED",
    `The node at ${url} ${problem}; give the one of its --access-token-file as accessToken, or on the command line as --token or GEVULOT_TOKEN.`,
    { context: { url } },
  );
}

/** The header that carries a token, where there is one. */
export function tokenHeader(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}
