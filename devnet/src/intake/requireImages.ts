import { GevulotError, isGevulotError } from "gevulot-sdk";
import type { ProgramMetadata } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import type { FileLayout } from "../files/layout.ts";
import { deployedVolumes, mountsOfTask, nanosVolumesProblem } from "../image/deployedVolumes.ts";
import type { ImageInfo } from "../image/descriptor.ts";
import { readNanosBoot } from "../image/nanos/nanosBoot.ts";
import { readImage } from "../image/readImage.ts";
import { mountsProblem } from "../vm/volumes/guestVolumes.ts";
import type { Fetched } from "./stages.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    IMAGE_UNMOUNTED: { readonly program: string; readonly reason: string };
    IMAGE_REFUSED: { readonly program: string; readonly reason: string };
  }
}

export interface RequireImagesDeps {
  readonly log: Logger;
  readonly layout: FileLayout;
}

/** What is only logged. */
export interface AllowedImages {
  /** Nanos images that mount no share of a node. */
  readonly unmounted: boolean;
  /** What is no image, or a damaged one. */
  readonly unusable: boolean;
}

/**
 * Refuses the Deploy of files that can't run here, or of a Nanos image that mounts no share of a node: its program would find
 * no task, and nobody would learn why. Also of volumes that the image can't mount. Looks at what an image says of itself, not
 * at all its bytes.
 *
 * @throws GevulotError `IMAGE_UNMOUNTED`, `IMAGE_REFUSED`
 */
export async function requireImages(
  { log, layout }: RequireImagesDeps,
  { hash, payload }: Fetched,
  allowed: AllowedImages,
): Promise<void> {
  if (payload.kind !== "deploy") return;
  for (const program of [payload.prover, payload.verifier]) {
    const { name } = program;
    const problem = await problemOf(layout, program);
    if (problem === null) continue;
    const { kind, reason } = problem;
    log.warn({ tx: hash, program: name, reason }, "an image's program will not run");
    if (allowed[kind]) continue;
    const message = `The image of program "${name}" can't be deployed: ${reason}.`;
    const context = { program: name, reason };
    if (kind === "unusable") throw new GevulotError("IMAGE_REFUSED", message, { context });
    const override = "A node that is started with --allow-unmounted-images takes it as it is.";
    throw new GevulotError("IMAGE_UNMOUNTED", `${message} ${override}`, { context });
  }
}

async function problemOf(
  layout: FileLayout,
  { hash, imageFileName, imageFileUrl }: ProgramMetadata,
): Promise<{ kind: keyof AllowedImages; reason: string } | null> {
  const path = layout.imagePath(hash, imageFileName);
  try {
    const nanos = await readNanosBoot(path);
    if (nanos !== null && nanos.problem !== null) return { kind: "unmounted", reason: nanos.problem };
    const reason =
      nanos === null
        ? linuxVolumesProblem((await readImage(path)).program, imageFileUrl)
        : nanosVolumesProblem(nanos.info.program.volumes, deployedVolumes(imageFileUrl).volumes);
    return reason === null ? null : { kind: "unusable", reason };
  } catch (error) {
    if (isGevulotError(error, "IMAGE_INVALID")) return { kind: "unusable", reason: error.context.reason };
    throw error;
  }
}

function linuxVolumesProblem(
  { workspace, volumes }: ImageInfo["program"],
  imageFileUrl: string,
): string | null {
  const deployed = deployedVolumes(imageFileUrl, workspace);
  return deployed.problem ?? mountsProblem(mountsOfTask(volumes ?? [], deployed.volumes));
}
