import { spawn } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startOf } from "../processTable.ts";
import { type ProcessGroup, startProcessGroup } from "./processGroup.ts";
import { nameArgs } from "./qemuArgs.ts";
import { reapLeftovers } from "./reapLeftovers.ts";
import { formatRunMark, parseRunMark, RUN_MARK_VARIABLE, type RunMark } from "./runMark.ts";

const log = pino({ level: "silent" });
let root = "";
let dead: Pick<RunMark, "ownerPid" | "ownerStart">;
const alive = { ownerPid: process.pid, ownerStart: startOf(process.pid) ?? "" };
const started: ProcessGroup[] = [];

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "gevulot-reap-")));
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  const ownerPid = child.pid as number;
  dead = { ownerPid, ownerStart: startOf(ownerPid) ?? "" };
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
});
afterAll(async () => {
  await Promise.all(started.map((group) => group.stop()));
  await rm(root, { recursive: true, force: true });
});

function markOf(owner: typeof dead, workspaceDir: string): string {
  return formatRunMark({ attemptId: "task-1", ...owner, workspaceDir });
}

async function startMarked(mark: string): Promise<ProcessGroup> {
  const env = { ...process.env, [RUN_MARK_VARIABLE]: mark };
  const group = await startProcessGroup("sleep", ["60"], { stdio: "ignore", env });
  started.push(group);
  return group;
}

async function startMarkedQemu(mark: string): Promise<ProcessGroup> {
  const args = ["-nodefaults", "-display", "none", "-machine", "none", "-S"];
  const group = await startProcessGroup("qemu-system-x86_64", [...nameArgs(mark), ...args], {
    stdio: "ignore",
  });
  started.push(group);
  return group;
}

test("kills what a dead node of the same data directory left, and nothing else", async () => {
  const data = join(root, "data, one=1");
  const other = join(root, "data");
  await Promise.all([mkdir(data), mkdir(other)]);
  const workspace = join(data, "vmfiles", "task-1", "workspace");
  const left = [
    await startMarkedQemu(markOf(dead, workspace)),
    await startMarked(markOf(dead, workspace)),
    // The same process id, another process.
    await startMarked(markOf({ ...alive, ownerStart: "1" }, workspace)),
  ];
  const kept = [
    await startMarkedQemu(markOf(alive, workspace)),
    await startMarked(markOf(alive, workspace)),
    await startMarked(markOf(dead, join(other, "vmfiles"))),
    await startMarked(markOf(dead, `${data}2`)),
    await startMarked("gevulot-"),
  ];

  const link = join(root, "link");
  await symlink(data, link);
  const killed = await reapLeftovers({ log }, { dataDirectory: link });
  expect(killed.sort()).toEqual(left.map(({ pid }) => pid).sort());
  for (const group of left) expect(await group.ended).toMatchObject({ signal: "SIGKILL" });
  for (const { pid } of kept) expect(startOf(pid)).not.toBeNull();
  expect(await reapLeftovers({ log }, { dataDirectory: data })).toEqual([]);
});

test("a data directory that isn't there yet", async () => {
  expect(await reapLeftovers({ log }, { dataDirectory: join(root, "new") })).toEqual([]);
});

test("marks are read back as written", () => {
  const mark = { attemptId: "1-2", ownerPid: 12, ownerStart: "345", workspaceDir: "/a@b, c/w" };
  expect(parseRunMark(formatRunMark(mark))).toEqual(mark);
  expect(parseRunMark(formatRunMark({ ...mark, attemptId: "a@b" }))).toEqual({ ...mark, attemptId: "a_b" });
});

test.each(["", "gevulot-", "gevulot-1@2@/w", "gevulot-1@x.1@/w", "gevulot-1@2.3@w", "qemu"])(
  "no mark: %j",
  (text) => {
    expect(parseRunMark(text)).toBeNull();
  },
);
