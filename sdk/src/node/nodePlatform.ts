import { Blake3Hasher } from "@napi-rs/blake-hash";
import type { Platform } from "../context/platform.ts";
import { checksumFile } from "./checksumFile.ts";
import { downloadFile } from "./downloadFile.ts";
import { createFileHost } from "./fileHost.ts";
import { readImageResources } from "./imageResources.ts";
import { readKeyFile } from "./keyFile.ts";
import { putFile } from "./putFile.ts";

export const nodePlatform: Platform = Object.freeze({
  createBlake3: async () => {
    const hasher = new Blake3Hasher();
    return {
      update: (chunk: Uint8Array) => {
        hasher.update(chunk);
      },
      digest: () => hasher.digest("hex"),
    };
  },
  local: { readKeyFile, checksumFile, readImageResources, createFileHost, downloadFile, putFile },
});
