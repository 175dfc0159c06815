import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blake3 } from "@noble/hashes/blake3.js";
import { bytesToHex } from "gevulot-sdk/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFileHost, type FileHost } from "../../../test/fixtures/fileHost.ts";
import { createFileFetcher, DEFAULT_FETCH, type FileFetcher, type FileRequest } from "./fetchFile.ts";

const TEXT = "the file";
const checksum = bytesToHex(blake3(new TextEncoder().encode(TEXT)));
const PATH = `/txfiles/ab/${checksum}/out`;

let dir: string;
let author: FileHost;
let liar: FileHost;
let honest: FileHost;
let told: [server: string, reason: string][];
let files: FileFetcher;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "fetch-"));
  [author, liar, honest] = await Promise.all([createFileHost(), createFileHost(), createFileHost()]);
  liar.files.set(PATH, "another file");
  honest.files.set(PATH, TEXT);
  told = [];
  const peers = {
    list: () => [liar.url, honest.url],
    onLie: (server: string, reason: string) => void told.push([server, reason]),
  };
  files = createFileFetcher(join(dir, "incoming"), { ...DEFAULT_FETCH, peers });
});
afterEach(async () => {
  await Promise.all([author, liar, honest].map((host) => host[Symbol.asyncDispose]()));
  await rm(dir, { recursive: true });
});

const request = (change: Partial<FileRequest> = {}): FileRequest => ({
  what: "an output file",
  url: `${author.url}/gone`,
  checksum,
  path: join(dir, "arrived"),
  atPeers: { path: PATH, isBinding: true },
  ...change,
});
const arrived = () => readFile(join(dir, "arrived"), "utf8");

describe("a node's server with a wrong file", () => {
  test("is a liar's; the file comes from the next, and it is not asked again", async () => {
    await files.fetch(request());
    expect(await arrived()).toBe(TEXT);
    expect(told).toEqual([[liar.url, expect.stringMatching(/serves a wrong file: .*checksum/i)]]);
    await rm(join(dir, "arrived"));
    await files.fetch(request());
    expect(await arrived()).toBe(TEXT);
    expect(liar.requests).toEqual([PATH]);
    expect(told).toHaveLength(1);
  });

  test("is a liar's also where the transaction names it under that path", async () => {
    await files.fetch(request({ url: `${liar.url}${PATH}` }));
    expect(told).toHaveLength(1);
    expect(liar.requests).toEqual([PATH]);
  });

  test("is nobody's fault where the path does not bind the content; it is not asked again all the same", async () => {
    const atPeers = { path: PATH, isBinding: false };
    await files.fetch(request({ atPeers }));
    await rm(join(dir, "arrived"));
    await files.fetch(request({ atPeers }));
    expect(told).toEqual([]);
    expect(liar.requests).toEqual([PATH]);
  });
});

test("a file that is larger than this node takes makes no liar of who serves it; it is not asked again", async () => {
  const peers = { list: () => [honest.url], onLie: (server: string) => void told.push([server, ""]) };
  const small = createFileFetcher(join(dir, "small"), { ...DEFAULT_FETCH, maxBytes: 3, peers });
  for (let tries = 0; tries < 2; tries++) {
    await expect(small.fetch(request())).rejects.toMatchObject({ code: "FILE_UNAVAILABLE" });
  }
  expect(told).toEqual([]);
  expect(honest.requests).toEqual([PATH]);
});

test("a transaction that names another place of an honest node, with a wrong checksum, harms nobody", async () => {
  liar.files.delete(PATH);
  honest.files.set("/images/1/a.img", "an image");
  await files.fetch(request({ url: `${honest.url}/images/1/a.img` }));
  expect(await arrived()).toBe(TEXT);
  expect(told).toEqual([]);
});

test("a node that has no file, or is not there, did nothing wrong", async () => {
  liar.files.delete(PATH);
  honest.files.delete(PATH);
  await expect(files.fetch(request())).rejects.toMatchObject({
    code: "FILE_UNAVAILABLE",
    message: expect.stringContaining("Nor do the 2 other nodes"),
  });
  expect(told).toEqual([]);
});
