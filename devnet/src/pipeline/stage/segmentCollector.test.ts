import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createBlobStore } from "../data/blobStore.ts";
import { createDiskBase } from "../data/sharedBase.ts";
import { createSegmentCollector } from "./segmentCollector.ts";
import { folderOf } from "./taskRequest.ts";

it("a split that goes otherwise takes no deferred proofs of an earlier start", async () => {
  const dir = await mkdtemp(join(tmpdir(), "gevulot-collector-"));
  try {
    const base = await createDiskBase(dir);
    const blobs = createBlobStore(join(dir, "blob"), base);
    const driver = {
      hasSegments: async () => false,
      dropSegments: async () => {},
      addSegments: async () => 1,
    };
    const collector = createSegmentCollector({ blobs, base, driver: driver as never, onSegments: () => {} });
    const context = { seg_path: join(dir, "proof", "run", "segment") };
    const run = {
      id: "run",
      context,
      shape: { version: "zkm2" },
      segments: { known: 1, total: null },
    } as never;
    const { segments } = folderOf(run);
    await mkdir(segments, { recursive: true });
    for (const name of ["0", "deferred_proof_65536", "deferred_proof_65537"])
      await writeFile(join(segments, name), "of an earlier start");
    collector.collect({ id: "split", attempt: 2 } as never, run, false);
    const { hash } = await blobs.put(Buffer.from("of this one"));
    await collector.receiveFile("split", "deferred/0", hash);
    await collector.receive("split", 0, hash);
    expect((await readdir(segments)).sort()).toEqual(["0", "deferred_proof_65536"]);
  } finally {
    await rm(dir, { recursive: true });
  }
});
