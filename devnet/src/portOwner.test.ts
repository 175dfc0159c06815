import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { closeServer, listen } from "./listen.ts";
import { portOwner } from "./portOwner.ts";

const SERVE = `const s = require("net").createServer().listen(0, "127.0.0.1", () => console.log(s.address().port))`;

test.skipIf(process.platform !== "linux")("says which process listens, and the error does", async () => {
  const child = spawn(process.execPath, ["-e", SERVE], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [said] = await once(child.stdout, "data");
    const port = Number(said);
    expect(await portOwner(port)).toMatch(new RegExp(`^process ${child.pid} \\(.*node -e const s`));
    const server = createServer();
    const taken = listen(server, { host: "127.0.0.1", port, flag: "--http-download-port" });
    await expect(taken).rejects.toThrow(
      new RegExp(`127.0.0.1:${port} is in use by process ${child.pid} .*--http-download-port`),
    );
    await closeServer(server as never).catch(() => {});
  } finally {
    child.kill("SIGKILL");
  }
});

test("of a port that nobody listens on it knows nobody", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  expect(await portOwner(port)).toBe("another program");
});
