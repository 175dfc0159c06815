import type { ProgramMetadata } from "gevulot-sdk/protocol";
import type { FileFetcher } from "../files/fetchFile.ts";
import type { FileLayout } from "../files/layout.ts";
import type { Fetched, Verified } from "./stages.ts";

/**
 * Brings the files that a transaction names into this node's folders, each checked against its BLAKE3: the images
 * of a Deploy, the input files of a Run.
 */
export async function fetchFiles(
  deps: { readonly layout: FileLayout; readonly files: FileFetcher },
  tx: Verified,
  options: { readonly signal?: AbortSignal },
): Promise<Fetched> {
  const { layout, files } = deps;
  const { payload } = tx;
  if (payload.kind === "deploy") {
    const image = (program: ProgramMetadata) =>
      files.fetch(
        {
          what: `the image of program "${program.name}"`,
          url: program.imageFileUrl,
          checksum: program.imageFileChecksum,
          path: layout.imagePath(program.hash, program.imageFileName),
        },
        options,
      );
    await Promise.all([image(payload.prover), image(payload.verifier)]);
  } else if (payload.kind === "run") {
    // One file may serve two steps; the layout has one place for a path, so two contents for it can't both be kept.
    const inputs = payload.steps.flatMap((step) => step.inputs.filter((input) => input.kind === "input"));
    await Promise.all(
      inputs.map((input) =>
        files.fetch(
          {
            what: `input ${input.fileName}`,
            url: input.fileUrl,
            checksum: input.checksum,
            path: layout.inputPath(tx.hash, input.fileName),
          },
          options,
        ),
      ),
    );
  }
  return tx as unknown as Fetched;
}
