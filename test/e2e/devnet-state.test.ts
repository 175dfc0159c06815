import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Devnet, startDevnet } from "gevulot-devnet";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exportState, importState, loadSnapshot, saveSnapshot } from "../../devnet/src/state/snapshots.ts";
import { createPostgres } from "../../devnet/src/up/postgres.ts";
import { findPostgres } from "../../devnet/src/up/postgresBinaries.ts";
import { ensureStateDir } from "../../devnet/src/up/stateDir.ts";
import { openStoppedState } from "../../devnet/src/up/stoppedState.ts";
import { runCli } from "../fixtures/cli.ts";
import { clientOf } from "../fixtures/network.ts";

const dir = mkdtempSync(join(tmpdir(), "state-"));
const stateDir = join(dir, "devnet");
/** Two nodes with a complete Run, written by the first version; never made anew. */
const KEPT = fileURLToPath(new URL("../fixtures/state/version-1.tar.gz", import.meta.url));
const KEPT_RUN = "5be7fc7ee4b7e44efe183d398f845e0bb29c2bf52c7ac728583b207f183e55eb";
let net: Devnet | undefined;

const devnet = async (...args: string[]) => {
  const { code, stdout } = await runCli("gevulot-devnet", [...args, "--state-dir", stateDir, "--json"]);
  return { code, ...JSON.parse(stdout) };
};
const statesOf = (running: Devnet) =>
  Promise.all(
    running.nodes.map((node) =>
      clientOf(running, node)
        .getRunStatus(KEPT_RUN)
        .then(
          ({ state }) => state,
          () => "unknown",
        ),
    ),
  );

beforeAll(async () => {
  await using host = await openStoppedState(stateDir, { create: true });
  await importState(host, KEPT);
});
afterAll(async () => {
  await net?.close();
  rmSync(dir, { recursive: true, force: true });
});

test("an archive of version 1 loads, with its files; the state outlives down and up", async () => {
  for (let times = 0; times < 2; times++) {
    net = await startDevnet({ stateDir, nodes: 2, provider: "process" });
    expect(await statesOf(net)).toEqual(["complete", "complete"]);
    const { proofs, verifications } = await clientOf(net, net.nodes[0]).getRun(KEPT_RUN).result();
    expect(new TextDecoder().decode(await proofs[0]?.files[0]?.bytes())).toBe("kept");
    expect(verifications.length).toBeGreaterThan(0);
    await net.close();
  }
});

test("stopped: snapshots are kept, listed, loaded and removed; what is exported is imported elsewhere", async () => {
  expect(await devnet("snapshot", "save", "first")).toMatchObject({
    status: "ok",
    data: { name: "first", nodes: 2 },
  });
  expect((await devnet("snapshot", "ls")).data.snapshots).toHaveLength(1);
  const file = join(dir, "state.tar.gz");
  expect(await devnet("export", file)).toMatchObject({ status: "ok", data: { file, nodes: 2 } });
  const other = join(dir, "other");
  await using host = await openStoppedState(other, { create: true });
  const { nodes } = await importState(host, file);
  expect(nodes.map(({ name }) => name)).toEqual(["node0", "node1"]);
  expect(readdirSync(join(other, "node1", "txfiles")).length).toBeGreaterThan(0);
  expect(readdirSync(join(other, "keys"))).toContain("account0.key");
});

test("a state of one major version of PostgreSQL loads into another", async (context) => {
  const system = await findPostgres({ choice: "system", searchPath: "", cacheDir: dir }).catch(() => null);
  const embedded = await findPostgres({ choice: "embedded", searchPath: "", cacheDir: dir }).catch(
    () => null,
  );
  if (!system || !embedded || system.major === embedded.major)
    return context.skip("there are no two major versions of PostgreSQL here");
  const file = join(dir, "of-the-system.tar.gz");
  {
    await using host = await openStoppedState(stateDir, { create: false });
    await exportState(host, file, { force: false });
  }
  const other = join(dir, "other-major");
  const dataDir = join(await ensureStateDir(other), "postgres");
  await (await createPostgres({ dataDir, binaries: "embedded" }))[Symbol.asyncDispose]();
  {
    await using host = await openStoppedState(other, { create: false });
    await importState(host, file);
  }
  const majors = await Promise.all(
    [stateDir, other].map((state) => readFile(join(state, "postgres/cluster/PG_VERSION"), "utf8")),
  );
  expect(majors.map(Number)).toEqual([system.major, embedded.major]);
  await using there = await startDevnet({ stateDir: other, nodes: 2, provider: "process" });
  expect(await statesOf(there)).toEqual(["complete", "complete"]);
});

test("a full disk: what was there stays", async (context) => {
  if (process.getuid?.() !== 0 || process.platform !== "linux")
    return context.skip("only root mounts a small disk");
  const disk = join(dir, "small");
  await mkdir(disk);
  const run = promisify(execFile);
  await run("mount", ["-t", "tmpfs", "-o", "size=8k", "tmpfs", disk]);
  try {
    await using host = await openStoppedState(stateDir, { create: false });
    const file = join(disk, "state.tar.gz");
    await writeFile(file, "of yesterday");
    const full = exportState(host, file, { force: true });
    await expect(full).rejects.toMatchObject({ code: "STATE_DISK_FULL" });
    expect(readdirSync(disk)).toEqual(["state.tar.gz"]);
    expect(await readFile(file, "utf8")).toBe("of yesterday");
  } finally {
    await run("umount", [disk]);
  }
});

test("wrong: nothing is changed, and the message says what to do", async () => {
  const cut = join(dir, "cut.tar.gz");
  await writeFile(cut, (await readFile(KEPT)).subarray(0, 4_000));
  await mkdir(join(dir, "empty"));
  {
    await using host = await openStoppedState(stateDir, { create: false });
    const force = { force: false };
    for (const [work, code] of [
      [() => importState(host, cut), "STATE_INVALID"],
      [() => importState(host, join(dir, "nowhere")), "STATE_FILE_MISSING"],
      [() => loadSnapshot(host, "frist"), "SNAPSHOT_NOT_FOUND"],
      [() => saveSnapshot(host, "../x", force), "SNAPSHOT_NAME"],
      [() => saveSnapshot(host, "first", force), "SNAPSHOT_EXISTS"],
      [() => exportState(host, join(dir, "state.tar.gz"), force), "STATE_FILE_EXISTS"],
    ] as const) {
      await expect(work(), code).rejects.toMatchObject({ code });
    }
  }
  const empty = ["export", join(dir, "new.tar.gz"), "--json", "--state-dir", join(dir, "empty")];
  const { code, stdout } = await runCli("gevulot-devnet", empty);
  expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 1, error: { code: "STATE_NOTHING" } });
  expect(readdirSync(join(stateDir, "snapshots"))).toEqual(["first"]);
});

test("running: saved and loaded while it runs, on all nodes", async () => {
  const up = await devnet("up", "--detach", "--nodes", "1", "--provider", "process");
  expect(up.status).toBe("ok");
  try {
    expect(await devnet("snapshot", "save", "second")).toMatchObject({ status: "ok", data: { nodes: 1 } });
    expect(await devnet("snapshot", "load", "first")).toMatchObject({ error: { code: "STATE_NODES" } });
    expect(await devnet("snapshot", "load", "second")).toMatchObject({ status: "ok" });
    const { data } = await devnet("status");
    for (const { rpcUrl } of data.nodes) {
      expect(
        await clientOf({ ...up.data, client: () => null as never }, { rpcUrl }).getRunStatus(KEPT_RUN),
      ).toMatchObject({ state: "complete" });
    }
    expect(await devnet("snapshot", "rm", "first")).toMatchObject({ status: "ok" });
  } finally {
    await devnet("down");
  }
});
