import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TaskMethod } from "../nodes/nodeClient.ts";

/**
 * Answers that were computed, the last for each `computed_request_id`: so that a lost one is given again instead of
 * computed again.
 */
export interface ResultStore {
  find(id: string): Promise<KeptResult | null>;
  keep(id: string, result: KeptResult): Promise<void>;
}

export interface KeptResult {
  readonly method: TaskMethod;
  /** `requestHash` of what was asked. */
  readonly request: string;
  /** The method's response message. */
  readonly answer: Buffer;
}

/** Ids that are fit for a file's name. */
const TASK_ID = /^[\w-]{1,128}$/;
const MAX_RESULTS = 10_000;
const KEEP_MS = 7 * 86_400_000;

export function createResultStore(root: string): ResultStore {
  let kept = 0;
  const prune = async (): Promise<void> => {
    const names = await readdir(root);
    const aged = await Promise.all(
      names.map(async (name) => ({ name, at: (await stat(join(root, name))).mtimeMs })),
    );
    aged.sort((left, right) => right.at - left.at);
    const old = aged.filter(({ at }, index) => index >= MAX_RESULTS || at < Date.now() - KEEP_MS);
    await Promise.all(old.map(({ name }) => rm(join(root, name), { force: true })));
  };
  return {
    async find(id) {
      const bytes = TASK_ID.test(id) ? await readFile(join(root, id)).catch(() => null) : null;
      if (!bytes) return null;
      const end = bytes.indexOf("\n");
      const [method, request = ""] = bytes.toString("utf8", 0, end).split(" ");
      return { method: method as TaskMethod, request, answer: bytes.subarray(end + 1) };
    },
    async keep(id, { method, request, answer }) {
      if (!TASK_ID.test(id)) return;
      await mkdir(root, { recursive: true });
      const path = join(root, id);
      const head = Buffer.from(`${method} ${request}\n`);
      await writeFile(`${path}.tmp`, Buffer.concat([head, answer]), { flush: true });
      await rename(`${path}.tmp`, path);
      kept += 1;
      if (kept % 100 === 0) await prune().catch(() => {});
    },
  };
}
