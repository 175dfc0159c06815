import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    CONTAINER_INVALID: { readonly container: string; readonly reason: string };
  }
}

export function containerInvalid(container: string, reason: string, cause?: unknown): GevulotError {
  return new GevulotError("CONTAINER_INVALID", `The container ${container} can't be used: ${reason}.`, {
    context: { container, reason },
    ...(cause === undefined ? {} : { cause }),
  });
}
