import { GevulotError, isGevulotError } from "gevulot-sdk";
import type { Logger } from "pino";
import type { FileLayout } from "../files/layout.ts";
import { readNanosBoot } from "../image/nanos/nanosBoot.ts";
import type { Fetched } from "./stages.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    IMAGE_UNMOUNTED: { readonly program: string; readonly reason: string };
  }
}

export interface RequireMountsDeps {
  readonly log: Logger;
  readonly layout: FileLayout;
}

/**
 * Refuses the Deploy of a Nanos image that mounts no share of a node: its program would find no task, and nobody would
 * learn why. What others have taken is only logged, and so is everything where `isAllowed`.
 *
 * @throws GevulotError `IMAGE_UNMOUNTED`
 */
export async function requireMounts(
  { log, layout }: RequireMountsDeps,
  { hash, payload }: Fetched,
  isAllowed: boolean,
): Promise<void> {
  if (payload.kind !== "deploy") return;
  for (const program of [payload.prover, payload.verifier]) {
    const path = layout.imagePath(program.hash, program.imageFileName);
    const reason = await problemOf(path);
    if (reason === null) continue;
    log.warn({ tx: hash, program: program.name, reason }, "an image's program will find no task");
    if (isAllowed) continue;
    const message =
      `The image of program "${program.name}" can't be deployed: ${reason}. ` +
      "A node that is started with --allow-unmounted-images takes it as it is.";
    throw new GevulotError("IMAGE_UNMOUNTED", message, { context: { program: program.name, reason } });
  }
}

/** What can't be read as Nanos is told when it is to run. */
async function problemOf(path: string): Promise<string | null> {
  try {
    return (await readNanosBoot(path))?.problem ?? null;
  } catch (error) {
    if (isGevulotError(error, "IMAGE_INVALID")) return null;
    throw error;
  }
}
