import { appendFile, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NodeLink } from "../explorer/nodeLink.ts";
import { createEntryReader, entryText } from "./logEntry.ts";
import { followLog, readLogTail } from "./logFile.ts";
import { readNodeLogs } from "./nodeLogs.ts";
import { createLineCutter, readTaskConsole } from "./taskConsole.ts";

let dir = "";
let path = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "logs-"));
  path = join(dir, "node.log");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe("a log file", () => {
  test("its last lines, also of the part that was moved aside, without one that is being written", async () => {
    expect(await readLogTail(path, 5)).toEqual({ lines: [], end: { inode: null, bytes: 0 } });
    await writeFile(`${path}.1`, "a\nb\n");
    await writeFile(path, "c\nd\nhal");
    expect((await readLogTail(path, 3)).lines).toEqual(["b", "c", "d"]);
    expect((await readLogTail(path, 1)).lines).toEqual(["d"]);
    expect((await readLogTail(path, 0)).lines).toEqual([]);
    expect((await readLogTail(path, 9)).lines).toEqual(["a", "b", "c", "d"]);
  });

  test("is followed from there, over a file that is begun anew", async () => {
    await writeFile(path, "old\nhal");
    const { end } = await readLogTail(path, 1);
    const stop = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const line of followLog(path, end, stop.signal)) seen.push(line);
    })();
    await appendFile(path, "f\nnext\n");
    await expect.poll(() => seen).toEqual(["half", "next"]);
    await appendFile(path, "last\n");
    await rename(path, `${path}.1`);
    await writeFile(path, "anew\n");
    await expect.poll(() => seen).toEqual(["half", "next", "last", "anew"]);
    stop.abort();
    await following;
  });

  test("that can't be read is said, and not taken for none", async () => {
    await expect(readLogTail(join(dir, "\0"), 1)).rejects.toThrow();
    await mkdir(path);
    await expect(readLogTail(path, 1)).rejects.toThrow(/EISDIR/);
  });

  test("that is not there yet is waited for", async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    const { end } = await readLogTail(path, 1);
    const following = (async () => {
      for await (const line of followLog(path, end, stop.signal)) seen.push(line);
    })();
    await writeFile(path, "first\n");
    await expect.poll(() => seen).toEqual(["first"]);
    stop.abort();
    await following;
  });
});

const entry = (time: string, msg: string, level = 30) =>
  JSON.stringify({ level, time, msg, tx: "ab".repeat(32) });

test("the logs of nodes are put in the order of their times; a stack trace stays with its entry", async () => {
  const other = join(dir, "other.log");
  const [first, second, third] = ["01", "02", "03"].map((at) => `2026-01-01T00:00:${at}.000Z`) as [
    string,
    string,
    string,
  ];
  await writeFile(path, `${entry(first, "one")}\n    at somewhere\n${entry(third, "three")}\n`);
  await writeFile(other, `${entry(second, "two", 40)}\n`);
  const logs = [
    { name: "node0", path },
    { name: "node1", path: other },
  ];
  const { entries, follow } = await readNodeLogs(logs, 10);
  expect(entries.map(({ node, message }) => `${node} ${message}`)).toEqual([
    "node0 one",
    "node0     at somewhere",
    "node1 two",
    "node0 three",
  ]);
  expect((await readNodeLogs(logs, 2)).entries.map(({ message }) => message)).toEqual(["two", "three"]);
  const stop = new AbortController();
  const seen: string[] = [];
  const following = follow(({ node, message }) => seen.push(`${node} ${message}`), stop.signal);
  await appendFile(other, `${entry(third, "four")}\n`);
  await expect.poll(() => seen).toEqual(["node1 four"]);
  stop.abort();
  await following;
});

test("an entry for people: level, fields, hashes cut short, errors beneath", () => {
  const read = createEntryReader("node0");
  const line = {
    level: 50,
    time: "2026-01-01T10:20:30.456Z",
    msg: "it broke",
    tx: "ab".repeat(32),
    why: "two words",
  };
  const shown = entryText(
    read(JSON.stringify({ ...line, err: { message: "x", stack: "Error: x\n  at y" } })),
    false,
  );
  expect(shown).toMatch(
    /^\d\d:20:30\.456 node0 error it broke tx=abababababab why="two words"\n {4}Error: x\n {6}at y$/,
  );
  expect(entryText(read(JSON.stringify(line)), true)).toContain("\u001b[31merror\u001b[39m");
  expect(entryText(read("no JSON"), false)).toMatch(/node0 info {2}no JSON$/);
});

test("a console is read whole, however slowly its node sends it, and no longer than what is there", async () => {
  const events = async function* (_path: string, signal: AbortSignal) {
    yield { name: "attempt", data: { attempt: 1 } };
    await delay(1_000, undefined, { signal });
    yield { name: "text", data: { text: "at last", skipped: 0 } };
    yield { name: "current", data: {} };
    await delay(60_000, undefined, { signal });
  };
  const { signal } = new AbortController();
  const seen: string[] = [];
  const link = { events } as unknown as NodeLink;
  expect(await readTaskConsole(link, "1", { follow: false, signal }, ({ text }) => seen.push(text))).toBe(
    true,
  );
  expect(seen).toEqual(["at last"]);
});

test("text that comes in pieces is cut into lines", () => {
  const lines: string[] = [];
  const cutter = createLineCutter((line) => lines.push(line));
  for (const piece of ["a", "b\r\nc", "\n\nd"]) cutter.add(piece);
  expect(lines).toEqual(["ab", "c", ""]);
  cutter.end();
  cutter.end();
  expect(lines.at(-1)).toBe("d");
  cutter.add("x".repeat(20_000));
  expect(lines.at(-1)).toHaveLength(20_000);
});
