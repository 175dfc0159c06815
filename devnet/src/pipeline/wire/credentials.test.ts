import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, Server } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createStack } from "../../disposeStack.ts";
import { bindServer } from "./bindServer.ts";
import { clientCredentials, serverCredentials } from "./credentials.ts";
import { loadProtos } from "./protos.ts";

const { nodeInfo } = loadProtos();
const stack = createStack();
let port: number;
let tls: Record<"ca_cert_path" | "cert_path" | "key_path", string>;

/** A server whose certificate is for one name, which is no host's, as in deployments of the existing service. */
beforeAll(async () => {
  const dir = await mkdtemp(join(tmpdir(), "gevulot-tls-"));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const about = ["-days", "2", "-subj", "/CN=stage", "-addext", "subjectAltName=DNS:stage"];
  execFileSync("openssl", [...request, ...about, "-keyout", "key.pem", "-out", "cert.pem"], {
    cwd: dir,
    stdio: "pipe",
  });
  const cert = join(dir, "cert.pem");
  tls = { ca_cert_path: cert, cert_path: cert, key_path: join(dir, "key.pem") };
  const server = new Server();
  server.addService(nodeInfo, {
    Describe: (_: unknown, done: (error: null, answer: object) => void) => done(null, {}),
  });
  port = await bindServer(server, "127.0.0.1:0", await serverCredentials(tls));
  stack.defer(async () => server.forceShutdown());
});
afterAll(() => stack[Symbol.asyncDispose]());

async function call(change: { readonly tls_server_name?: string }): Promise<string> {
  const client = new Client(`127.0.0.1:${port}`, await clientCredentials({ ...tls, ...change }));
  const { path, requestSerialize, responseDeserialize } = nodeInfo.Describe!;
  try {
    return await new Promise((resolve) =>
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, (error) =>
        resolve(error === null ? "answered" : error.message),
      ),
    );
  } finally {
    client.close();
  }
}

describe("who calls over TLS", () => {
  it("takes the host that it dials for the server's name", async () => {
    expect(await call({})).toContain("127.0.0.1");
  });

  it("takes the name that the configuration gives", async () => {
    expect(await call({ tls_server_name: "stage" })).toBe("answered");
    expect(await call({ tls_server_name: "other" })).toContain("other");
  });
});
