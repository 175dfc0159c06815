import type { Platform } from "./platform.ts";

export const browserPlatform: Platform = Object.freeze({
  createBlake3: async () => {
    // Loaded when a file is hashed, not with the page: most pages never do.
    const { createBLAKE3 } = await import("hash-wasm");
    const hasher = await createBLAKE3();
    return {
      update: (chunk: Uint8Array) => {
        hasher.update(chunk);
      },
      digest: () => hasher.digest("hex"),
    };
  },
  local: null,
});
