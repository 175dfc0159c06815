import { createHash } from "node:crypto";
import { readdir, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createBlobStore } from "../../devnet/src/pipeline/data/blobStore.ts";
import { type RetentionDeps, removeOldData } from "../../devnet/src/pipeline/stage/retention.ts";
import { createPipelineNet, type PipelineNet, quiet } from "../fixtures/pipeline/pipelineNet.ts";

const SUCCESS = 0;
const DAY_S = 86_400;

let net: PipelineNet;
let base: string;
beforeEach(async () => {
  net = await createPipelineNet();
  base = join(net.dir, "stage");
});
afterEach(() => net[Symbol.asyncDispose]());

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const filesBelow = async (folder: string): Promise<string[]> =>
  (await readdir(join(base, folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));

/** As if all that lies there was asked for so long ago. */
async function age(folder: string, days: number): Promise<void> {
  const at = Date.now() / 1_000 - days * DAY_S;
  for (const path of await filesBelow(folder)) await utimes(path, at, at);
}

const ended = (id: string, daysAgo: number) =>
  net.database.query("update stage_task set finished_at = now() - make_interval(days => $2) where id = $1", [
    id,
    daysAgo,
  ]);

const clean = (database: RetentionDeps["database"] = net.database) =>
  removeOldData({ log: quiet, database, baseDir: base }, { keepRunsDays: 30 }, new AbortController().signal);

describe("what a stage keeps", () => {
  it("removes runs that ended long ago, and the data that no other run names", async () => {
    const stage = await net.stage();
    const client = net.client(stage.addr);
    const node = await net.prover("a", stage.addr);
    const submit = async (elf: string, segments: number) =>
      (
        await client.submit({
          elf_data: Buffer.from(elf),
          public_input_stream: Buffer.from(JSON.stringify({ segments })),
        })
      ).proof_id!;
    const [old, kept] = [await submit("old", 2), await submit("kept", 3)];
    for (const id of [old, kept]) expect(await client.finished(id)).toMatchObject({ status: SUCCESS });
    // It goes on: no node is there any more that could do it.
    await node[Symbol.asyncDispose]();
    const going = await submit("going", 4);
    await ended(old, 31);
    await ended(kept, 29);
    const blobs = createBlobStore(join(base, "blob"));
    await blobs.put(Buffer.from("put, and never used"));
    await age("blob", 31);
    await age("elf", 31);
    await blobs.put(Buffer.from("put just now"));
    // No lock is held while files are removed, which may take long: they wait aside.
    const aside: string[][] = [];
    const transaction: typeof net.database.transaction = (work) =>
      net.database.transaction(async (client) => {
        const result = await work(client);
        aside.push(await filesBelow("incoming"));
        return result;
      });

    await clean({ ...net.database, transaction });

    expect(aside[0]).not.toEqual([]);
    expect(await readdir(join(base, "incoming"))).toEqual([]);

    await expect(client.status(old)).rejects.toThrow("no run has the proof_id");
    expect((await readdir(join(base, "proof"))).sort()).toEqual([kept, going].sort());
    expect((await readdir(join(base, "elf"))).sort()).toEqual([sha256("kept"), sha256("going")].sort());
    expect(await client.status(kept)).toMatchObject({ status: SUCCESS });
    expect(await blobs.size(sha256("put, and never used"))).toBeNull();
    expect(await blobs.size(sha256("put just now"))).not.toBeNull();
    const left = await net.database.query<{ hash: string }>(
      `select input_hash as hash from prove_task where input_hash is not null
       union select output_hash from prove_task where output_hash is not null`,
    );
    for (const { hash } of left.rows) await stat(blobs.path(hash));

    await net.database.query("delete from stage_task where id = $1", [going]);
    await ended(kept, 31);
    await age("blob", 31);
    await age("elf", 31);
    await clean();
    expect(await filesBelow("blob")).toEqual([]);
    // Folders without a row are another database's, or of nobody: they stay.
    expect(await readdir(join(base, "proof"))).toEqual([going]);
    expect(await readdir(join(base, "elf"))).toEqual([sha256("going")]);
  });
});
