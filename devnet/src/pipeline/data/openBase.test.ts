import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { closeServer } from "../../listen.ts";
import { openBase } from "./openBase.ts";

test("a bucket's service and region come from the usual variables where no key names them", async () => {
  const asked: IncomingMessage[] = [];
  // A service that has every bucket.
  const server = createServer((request, response) => {
    asked.push(request);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cache_dir = await mkdtemp(join(tmpdir(), "s3-"));
  try {
    for (const [name, value] of Object.entries({
      AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      AWS_DEFAULT_REGION: "eu-north-1",
      AWS_REGION: undefined,
      AWS_ACCESS_KEY_ID: "key",
      AWS_SECRET_ACCESS_KEY: "secret",
    }))
      vi.stubEnv(name, value);
    const base = await openBase({ base_dir: "s3://bucket/base", cache_dir });
    expect(base.dir).toBe(cache_dir);
    expect(asked[0]!.url).toContain("bucket");
    expect(asked[0]!.headers.authorization).toContain("/eu-north-1/s3/");
  } finally {
    vi.unstubAllEnvs();
    await closeServer(server);
    await rm(cache_dir, { recursive: true });
  }
});
