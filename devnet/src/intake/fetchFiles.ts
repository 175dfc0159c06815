import { outputFilePath, type ProgramMetadata, type TxFile } from "gevulot-sdk/protocol";
import type { FileFetcher, FileRequest } from "../files/fetchFile.ts";
import type { FileLayout } from "../files/layout.ts";
import type { Fetched, Verified } from "./stages.ts";

/**
 * Brings the files that a transaction names into this node's folders, each checked against its BLAKE3: the images
 * of a Deploy, the input files of a Run, the output files of a Proof or Verification.
 */
export async function fetchFiles(
  deps: { readonly layout: FileLayout; readonly files: FileFetcher },
  tx: Verified,
  options: { readonly signal?: AbortSignal },
): Promise<Fetched> {
  await Promise.all(requestsOf(deps.layout, tx).map((request) => deps.files.fetch(request, options)));
  return tx as unknown as Fetched;
}

/** Whether there is anything to fetch. */
export function hasFiles({ payload }: Verified): boolean {
  if (payload.kind === "deploy") return true;
  if (payload.kind === "run")
    return payload.steps.some((step) => step.inputs.some(({ kind }) => kind === "input"));
  return (payload.kind === "proof" || payload.kind === "verification") && payload.files.length > 0;
}

/** With the paths of protocol section 6, under which other nodes have the same files. */
function requestsOf(layout: FileLayout, { hash, payload }: Verified): FileRequest[] {
  if (payload.kind === "deploy") {
    return [payload.prover, payload.verifier].map((program: ProgramMetadata) => ({
      what: `the image of program "${program.name}"`,
      // Its fragment names volumes, and is no part of where the image is.
      url: program.imageFileUrl.replace(/#.*/s, ""),
      checksum: program.imageFileChecksum,
      path: layout.imagePath(program.hash, program.imageFileName),
      atPeers: { path: `/images/${program.hash}/${encodePath(program.imageFileName)}`, isBinding: true },
    }));
  }
  if (payload.kind === "run") {
    // One file may serve two steps; the layout has one place for a path, so two contents for it can't both be kept.
    const inputs = payload.steps.flatMap((step) => step.inputs.filter((input) => input.kind === "input"));
    return inputs.map(({ fileName, fileUrl, checksum }) => ({
      what: `input ${fileName}`,
      url: fileUrl,
      checksum,
      path: layout.inputPath(hash, fileName),
      atPeers: { path: `/txfiles/${hash}/${encodePath(fileName.slice(1))}`, isBinding: false },
    }));
  }
  if (payload.kind !== "proof" && payload.kind !== "verification") return [];
  return payload.files.map((file: TxFile) => {
    const path = outputFilePath(hash, file);
    return {
      what: `output file ${file.name} of the ${payload.kind} ${hash}`,
      url: `${file.url.replace(/\/$/, "")}${path}`,
      checksum: file.checksum,
      path: layout.outputPath(hash, file.checksum, file.name),
      atPeers: { path, isBinding: true },
    };
  });
}

function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
