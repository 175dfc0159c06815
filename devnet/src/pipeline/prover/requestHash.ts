import { createHash } from "node:crypto";
import type { Metadata, MethodDefinition } from "@grpc/grpc-js";
import { fileListKey } from "../data/fileList.ts";

/** SHA-256 of what is asked: the method, its request, and the content of the files that the request names by path. */
export function requestHash(
  { path, requestSerialize }: Pick<MethodDefinition<object, object>, "path" | "requestSerialize">,
  { request, metadata }: { readonly request: object; readonly metadata: Metadata },
): string {
  return createHash("sha256")
    .update(`${path}\n${fileListKey(metadata)}\n`)
    .update(requestSerialize(request))
    .digest("hex");
}
