import { GevulotError, isGevulotError } from "gevulot-sdk";
import type { NodeLink } from "./nodeLink.ts";
import { notFound } from "./nodeLink.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    EXPLORER_NO_NODE: { reasons: readonly string[] };
  }
}

/**
 * Asks one node after the other, until one knows.
 * @throws GevulotError `EXPLORER_NOT_FOUND` where none does, `EXPLORER_NO_NODE` where none answers
 */
export async function askFirst<T>(
  links: readonly NodeLink[],
  ask: (link: NodeLink) => Promise<T>,
  what: string,
): Promise<T> {
  const reasons: string[] = [];
  let isUnknown = false;
  for (const link of links) {
    try {
      return await ask(link);
    } catch (error) {
      if (isGevulotError(error, "EXPLORER_NOT_FOUND")) isUnknown = true;
      else if (isGevulotError(error)) reasons.push(error.message);
      else throw error;
    }
  }
  throw isUnknown ? notFound(`${what} is not known to any node that answers.`) : noNode(reasons);
}

/** What each says; null where it does not know, or does not answer. Throws as {@link askFirst} does where all are null. */
export async function askAll<T>(
  links: readonly NodeLink[],
  ask: (link: NodeLink) => Promise<T>,
  what: string,
): Promise<{ readonly link: NodeLink; readonly value: T | null }[]> {
  const reasons: string[] = [];
  let isUnknown = false;
  const answers = await Promise.all(
    links.map(async (link) => {
      const value = await ask(link).catch((error: unknown) => {
        if (!isGevulotError(error)) throw error;
        if (isGevulotError(error, "EXPLORER_NOT_FOUND")) isUnknown = true;
        else reasons.push(error.message);
        return null;
      });
      return { link, value };
    }),
  );
  if (answers.some(({ value }) => value !== null)) return answers;
  throw isUnknown ? notFound(`${what} is not known to any node that answers.`) : noNode(reasons);
}

function noNode(reasons: readonly string[]): GevulotError {
  return new GevulotError("EXPLORER_NO_NODE", reasons[0] ?? "There is no node to ask.", {
    context: { reasons },
  });
}
