import { createHash } from "node:crypto";
import type { Metadata, MethodDefinition } from "@grpc/grpc-js";
import { METADATA_FILES } from "../wire/messages.ts";

/** SHA-256 of what is asked: the method, its request, and the content of the files that the request names by path. */
export function requestHash(
  { path, requestSerialize }: Pick<MethodDefinition<object, object>, "path" | "requestSerialize">,
  { request, metadata }: { readonly request: object; readonly metadata: Metadata },
): string {
  const files = metadata.get(METADATA_FILES).map((given) => JSON.parse(given.toString()) as object);
  const byPath = files
    .flatMap((hashes) => Object.entries(hashes))
    .sort(([left], [right]) => (left < right ? -1 : 1));
  return createHash("sha256")
    .update(`${path}\n${JSON.stringify(byPath)}\n`)
    .update(requestSerialize(request))
    .digest("hex");
}
