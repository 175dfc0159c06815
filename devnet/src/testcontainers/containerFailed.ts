import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_CONTAINER_FAILED: { image: string; lastLines: readonly string[] };
  }
}

export function containerFailed(image: string, lastLines: readonly string[], cause: unknown): GevulotError {
  return new GevulotError(
    "DEVNET_CONTAINER_FAILED",
    `The devnet in the container did not start. Its last words:\n${lastLines.join("\n")}\nCheck the image ${image}, the options, and the memory that the engine has.`,
    { context: { image, lastLines }, cause },
  );
}
