import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    VOLUME_INVALID: { readonly reason: string };
    VOLUME_EXISTS: { readonly name: string };
    VOLUME_MISSING: { readonly name: string; readonly folder: string };
    VOLUME_IN_USE: { readonly name: string; readonly holders: readonly string[] };
  }
}

export function volumeInvalid(message: string): GevulotError<"VOLUME_INVALID"> {
  return new GevulotError("VOLUME_INVALID", message, { context: { reason: message } });
}

/** For tasks: whoever may deploy would change what the programs of others read. */
export function volumeReadonly(name: string): GevulotError<"VOLUME_INVALID"> {
  return volumeInvalid(
    `The volume ${name} is only to be read by tasks, and the program mounts it to write. End its path with :ro, in the manifest's Mounts or where the program is deployed, or have the node's operator make a volume for writing: gevulot-devnet volume create ${name} --writable.`,
  );
}

export function volumeCutOff(name: string): GevulotError<"VOLUME_INVALID"> {
  return volumeInvalid(
    `The volume ${name} can't be read: the program that wrote to it last was stopped, and what it wrote may be there in part. Run one that mounts it to write, and ends by itself: gevulot-devnet vm run PROGRAM --mounts ${name}:/path. Or make the volume again.`,
  );
}

export function volumeExists(name: string): GevulotError<"VOLUME_EXISTS"> {
  const message = `There is a volume ${name} already. Choose another name, or delete it: gevulot-devnet volume delete ${name}.`;
  return new GevulotError("VOLUME_EXISTS", message, { context: { name } });
}

/** @param advice default: to make it */
export function volumeMissing(
  name: string,
  folder: string,
  advice = `Make it: gevulot-devnet volume create ${name} -s SIZE -d FOLDER.`,
): GevulotError<"VOLUME_MISSING"> {
  const message = `There is no volume ${name} in ${folder}. ${advice}`;
  return new GevulotError("VOLUME_MISSING", message, { context: { name, folder } });
}

export function volumeInUse(name: string, holders: readonly string[]): GevulotError<"VOLUME_IN_USE"> {
  const message = `The volume ${name} is in use: ${holders.join("; ")}. Many may read a volume, or one may write to it; wait, or end the other.`;
  return new GevulotError("VOLUME_IN_USE", message, { context: { name, holders } });
}
