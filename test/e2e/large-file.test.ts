import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, open, rm, stat, truncate } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { checksumFile, downloadFile } from "gevulot-sdk/node";
import pino from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createFileFetcher } from "../../devnet/src/files/fetchFile.ts";
import { createFileServer } from "../../devnet/src/files/fileServer.ts";
import { createFileLayout } from "../../devnet/src/files/layout.ts";
import { createFileHost } from "../../sdk/src/node/fileHost.ts";

const MIB = 2 ** 20;
const SIZE = 2048 * MIB;
/** What holds all of this, servers and clients together, vitest included. */
const MAX_RSS_MIB = 512;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gevulot-e2e-large-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** 2 GiB with something here and there; the rest takes no room on the disk. */
async function makeSparse(path: string): Promise<void> {
  await (await open(path, "w")).close();
  await truncate(path, SIZE);
  const file = await open(path, "r+");
  for (const at of [0, SIZE / 3, SIZE / 2, SIZE - 100])
    await file.write(randomBytes(100), 0, 100, Math.floor(at));
  await file.close();
}

/** Passes a connection on, and cuts the first one after so many bytes. Counts what it passed. */
async function cuttingProxy(targetPort: number, cutAfterBytes: number) {
  const passed: number[] = [];
  const server: Server = createServer((client) => {
    const index = passed.push(0) - 1;
    const upstream = connect(targetPort, "127.0.0.1");
    const close = () => {
      client.destroy();
      upstream.destroy();
    };
    client.on("error", close).on("close", close).pipe(upstream);
    upstream.on("error", close).on("end", () => client.end());
    upstream.on("data", (chunk) => {
      passed[index] = (passed[index] ?? 0) + chunk.length;
      if (index === 0 && passed[0]! > cutAfterBytes) return close();
      if (!client.write(chunk)) {
        upstream.pause();
        client.once("drain", () => upstream.resume());
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, passed, close: () => server.close() };
}

test("a 2 GiB image: hashed, served, downloaded and checked in little memory; a cut download goes on", async () => {
  const source = join(folder, "image.img");
  await makeSparse(source);
  const checksum = await checksumFile(source);

  // As a deployment does it: the client serves, the node fetches.
  const host = await createFileHost();
  const served = new URL(host.add(source, { name: "image.img", checksum }));
  const proxy = await cuttingProxy(Number(served.port), 700 * MIB);
  const layout = createFileLayout(join(folder, "node"));
  const image = join(folder, "node", "images", "p", "image.img");
  served.port = String(proxy.port);
  await createFileFetcher(layout.incomingDir).fetch({
    what: "the image",
    url: served.href,
    checksum,
    path: image,
  });
  await host.close();
  proxy.close();
  expect(proxy.passed).toHaveLength(2);
  expect(proxy.passed[0]).toBeGreaterThan(700 * MIB);
  // Together hardly more than the file: what had come before the cut was not sent again.
  expect((proxy.passed[0] ?? 0) + (proxy.passed[1] ?? 0)).toBeLessThan(SIZE + 32 * MIB);

  // As another node does it: the node serves. This one stops, and starts again later.
  const deps = { log: pino({ level: "silent" }), layout, isArriving: () => false };
  const server = await createFileServer(deps, { host: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${server.port}/images/p/image.img`;
  const path = join(folder, "again", "image.img");
  await mkdir(dirname(path));
  const stop = new AbortController();
  const first = downloadFile({ url, path, checksum, signal: stop.signal });
  const arrived = async () => (await stat(`${path}.tmp`).catch(() => ({ size: 0 }))).size;
  void first.catch(() => {});
  await expect.poll(arrived, { interval: 20, timeout: 60_000 }).toBeGreaterThan(256 * MIB);
  stop.abort();
  await expect(first).rejects.toMatchObject({ code: "CANCELLED" });
  const ranges: (string | null)[] = [];
  const watched: typeof fetch = (input, init) => {
    ranges.push(new Headers(init?.headers).get("range"));
    return fetch(input, init);
  };
  const before = await arrived();
  await downloadFile({ url, path, checksum, fetch: watched });
  expect(ranges).toEqual([`bytes=${before}-`]);
  await server[Symbol.asyncDispose]();

  expect(process.resourceUsage().maxRSS / 1024).toBeLessThan(MAX_RSS_MIB);
});
