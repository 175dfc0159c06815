import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { closeServer } from "../../listen.ts";
import { createS3Base } from "./s3Base.ts";

test("a service that never answers is given up, and said", async () => {
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cacheDir = await mkdtemp(join(tmpdir(), "s3-"));
  try {
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const keys = { accessKey: "key", secretKey: "secret", region: "us-east-1" };
    await expect(
      createS3Base({ url: "s3://bucket/base", endpoint, ...keys, cacheDir, timeoutMs: 300 }),
    ).rejects.toMatchObject({
      code: "S3_FAILED",
      message: expect.stringContaining("did not answer within 0.3 s"),
    });
  } finally {
    await closeServer(server);
    await rm(cacheDir, { recursive: true });
  }
});
