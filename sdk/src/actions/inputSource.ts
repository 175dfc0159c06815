import type { HostedFiles } from "../context/hostedFiles.ts";
import { GevulotError } from "../errors.ts";
import { isHash, parseHash } from "../protocol/hash.ts";
import type { Hash, ProgramData } from "../protocol/transaction.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    INPUT_INVALID: { vmPath: string; problem: string };
  }
}

/** A file that a step is to find at `vmPath`, an absolute path inside the VM below its workspace. */
export type InputSource =
  /** A file of this machine; served by the client until the node has it. */
  | { readonly file: string; readonly vmPath: string }
  /** Bytes in memory; served likewise. */
  | { readonly data: Uint8Array; readonly vmPath: string }
  /** `checksum`: BLAKE3, 64 hex digits. */
  | { readonly url: string; readonly checksum: string; readonly vmPath: string }
  /** What the program `from`, of an earlier step, left at the path `output`; it has the same path here. */
  | { readonly output: string; readonly from: Hash };

/** Throws `INPUT_INVALID`. */
export async function resolveInput(hosted: HostedFiles, source: InputSource): Promise<ProgramData> {
  if ("output" in source) {
    const fileName = checkPath(source.output);
    return { kind: "output", sourceProgram: parseHash(source.from), fileName };
  }
  const fileName = checkPath(source.vmPath);
  if ("url" in source) {
    const checksum = String(source.checksum).toLowerCase();
    if (typeof source.url !== "string" || !URL.canParse(source.url))
      throw invalid(fileName, `its url "${source.url}" is none; give one like http://example.com/file`);
    if (!isHash(checksum)) throw invalid(fileName, `its checksum "${source.checksum}" is not 64 hex digits`);
    return { kind: "input", fileName, fileUrl: source.url, checksum };
  }
  const baseName = fileName.slice(fileName.lastIndexOf("/") + 1);
  const content: unknown = "file" in source ? source.file : source.data;
  if (typeof content !== "string" && !(content instanceof Uint8Array))
    throw invalid(fileName, "it has no source; give file (a path), data (a Uint8Array) or url and checksum");
  const { url, checksum } = await hosted.host(content, baseName);
  return { kind: "input", fileName, fileUrl: url, checksum };
}

function checkPath(vmPath: string): string {
  if (typeof vmPath !== "string" || !vmPath.startsWith("/")) {
    throw invalid(
      String(vmPath),
      "it is not an absolute path inside the VM; give one like /workspace/input.json",
    );
  }
  if (vmPath.endsWith("/") || vmPath.split("/").some((part) => part === "." || part === "..")) {
    throw invalid(vmPath, `it must name a file, without "." or ".."`);
  }
  return vmPath;
}

function invalid(vmPath: string, problem: string): GevulotError<"INPUT_INVALID"> {
  return new GevulotError("INPUT_INVALID", `The input ${vmPath} can't be sent: ${problem}.`, {
    context: { vmPath, problem },
  });
}
