import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    TFS_INVALID: { readonly reason: string };
  }
}

/** A file system, or the disk around it, that is not as Nanos writes it. Who knows its file says so. */
export function tfsInvalid(reason: string): GevulotError<"TFS_INVALID"> {
  const message = `The Nanos file system can't be read: ${reason}. Build or download the image again.`;
  return new GevulotError("TFS_INVALID", message, { context: { reason } });
}
