import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildImage } from "gevulot-devnet";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { GevulotDevnetContainer } from "../../devnet/src/testcontainers/index.ts";
import {
  buildImages,
  buildPostgresImage,
  type ContainerEngine,
  startEngine,
  whyNoEngine,
} from "../fixtures/containerEngine.ts";
import { root } from "../tidy/sources.ts";

/** The real Containerfile, built and run by a real engine. The first run makes a base image, which takes minutes. */
const missing = await whyNoEngine();
const run = promisify(execFile);
const resources = { memMib: 64, cpus: 1 };
let dir = "";
let image = "";
let engine: ContainerEngine;

beforeEach((context) => {
  if (missing !== null) context.skip(missing);
});
beforeAll(async () => {
  if (missing !== null) return;
  dir = await mkdtemp(join(tmpdir(), "containers-"));
  image = join(dir, "program.img");
  const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
  await buildImage({ program, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
  engine = await startEngine();
  Object.assign(process.env, engine.env);
  await buildImages(engine, ["node", "devnet"]);
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

/** A container's options, as the exported unit has them. */
async function unitFlags(): Promise<string[]> {
  const path = join(root, "test/fixtures/quadlet/etc/containers/systemd/gevulot-node.container");
  const flags: Record<string, string> = {
    DropCapability: "--cap-drop",
    AddCapability: "--cap-add",
    NoNewPrivileges: "--security-opt=no-new-privileges",
    PodmanArgs: "",
  };
  return (await readFile(path, "utf8")).split("\n").flatMap((line) => {
    const [, key = "", value = ""] = /^(\w+)=(.*)$/.exec(line) ?? [];
    const flag = flags[key];
    if (flag === undefined) return [];
    // Locked memory beyond the own limit needs a right that a container within a container has not.
    if (key === "PodmanArgs") return value.startsWith("--ulimit") ? [] : [value];
    return key === "NoNewPrivileges" ? [flag] : [flag, value];
  });
}

describe("the node's image", () => {
  const node = async (...args: string[]) =>
    engine.podman([
      "run",
      "--rm",
      ...(await unitFlags()),
      "-v",
      `${dir}:/var/lib/gevulot`,
      "localhost/gevulot-node",
      ...args,
    ]);

  test("runs the node unless told otherwise, with the unit's few rights", async () => {
    await expect(node()).rejects.toMatchObject({ stderr: expect.stringContaining("There is no key file") });
    const key = ["--key-file", "/var/lib/gevulot/node.key"];
    const { stdout } = await node("generate", "key", ...key);
    const publicKey = /Public key: ([0-9a-f]{130})/.exec(stdout)?.[1];
    expect((await node("show", "public-key", ...key)).stdout).toBe(`Public key: ${publicKey}\n`);
  });

  test("has QEMU, which it can start as nobody", async () => {
    const script =
      "setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs qemu-system-x86_64 --version && id -u";
    const { stdout } = await engine.podman([
      ...[
        "run",
        "--rm",
        ...(await unitFlags()),
        "--entrypoint",
        "sh",
        "localhost/gevulot-node",
        "-c",
        script,
      ],
    ]);
    expect(stdout).toMatch(/^QEMU emulator version[\s\S]*\n0\n$/);
  });
});

test("a virtual machine runs in the node's container, with the unit's few rights", async () => {
  const workspace = join(dir, "workspace");
  await mkdir(workspace);
  await writeFile(join(workspace, "task.json"), JSON.stringify({ id: "1", args: ["ok", "a"], files: [] }));
  const mounts = ["-v", `${image}:/program.img:ro`, "-v", `${workspace}:/task`];
  const command = ["task", "run", "/program.img", "--workspace", "/task"];
  await engine.podman([
    ...["run", "--rm", ...(await unitFlags()), ...mounts],
    ...["--entrypoint", "gevulot-devnet", "localhost/gevulot-node", ...command],
  ]);
  expect(await readFile(join(workspace, "out.txt"), "utf8")).toBe("a");
});

describe("GevulotDevnetContainer", () => {
  test("a program is deployed from here, proven and verified there, and its files come back", async () => {
    await using devnet = await new GevulotDevnetContainer().withNodes(2).start();
    expect(devnet.nodes.map(({ name }) => name)).toEqual(["node0", "node1"]);
    const client = devnet.client();
    const source = (name: string) => ({ file: image, name, resources });
    const { prover, verifier } = await client.deploy({
      name: "container",
      prover: source("prover"),
      verifier: source("verifier"),
    });
    const output = "/workspace/out.txt";
    const handle = await client.run({
      steps: [
        { program: prover.hash, args: ["ok", "a"] },
        { program: verifier.hash, args: ["ok"], inputs: [{ from: prover.hash, output }] },
      ],
    });
    const { proofs } = await handle.result();
    const file = proofs.flatMap(({ files }) => files).find(({ vmPath }) => vmPath === output);
    expect((await file?.bytes())?.length).toBeGreaterThan(0);
    const other = devnet.client({ node: 1 });
    const known = () =>
      other.getRunStatus(handle.hash).then(
        ({ proofs }) => proofs.length,
        () => 0,
      );
    await expect.poll(known, { timeout: 60_000, interval: 200 }).toBe(1);
    // Whoever has no token is sent away.
    const call = { method: "POST", body: "{}" };
    expect((await fetch(devnet.nodes[0]?.rpcUrl ?? "", call)).status).toBe(401);
  });

  test("a devnet that does not start says why", async () => {
    const container = new GevulotDevnetContainer().withUser("10002").withStartupTimeout(60_000);
    await expect(container.start()).rejects.toMatchObject({ code: "DEVNET_CONTAINER_FAILED" });
  });
});

describe("up --docker", () => {
  const POSTGRES = "localhost/gevulot-test-postgres";
  const cli = (...args: string[]) =>
    run(process.execPath, [join(root, "devnet/bin/gevulot-devnet.js"), ...args], {
      cwd: dir,
      env: { ...process.env, ...engine.env },
      timeout: 600_000,
    });

  test("two nodes, PostgreSQL and the explorer, and down again", async (context) => {
    if (!(await isFree(9944))) context.skip("port 9944 is taken");
    if (!(await hasCompose())) context.skip("no docker compose here, nor docker-compose");
    await buildPostgresImage(engine, POSTGRES);
    const at = ["--docker", "--state-dir", join(dir, "devnet"), "--json"];
    try {
      const options = ["--detach", "--nodes", "2", "--provider", "process", "--postgres-image", POSTGRES];
      const { data } = JSON.parse((await cli("up", ...at, ...options)).stdout);
      expect(data.rpcUrls).toHaveLength(2);
      const ask = async (url: string) => {
        const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "getNodeInfo", params: [] });
        const headers = { "content-type": "application/json" };
        const response = await fetch(url, { method: "POST", headers, body });
        const reply = (await response.json()) as { result: { Ok: { nodes: unknown[] } } };
        return reply.result.Ok;
      };
      await expect.poll(async () => (await ask(data.rpcUrls[1])).nodes.length, { timeout: 60_000 }).toBe(2);
      await expect
        .poll(async () => (await fetch(data.explorerUrl)).status, { timeout: 60_000, interval: 500 })
        .toBe(200);
    } finally {
      await cli("down", ...at);
    }
    expect(await isFree(9944)).toBe(true);
  });
});

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(false));
    server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
  });
}

async function hasCompose(): Promise<boolean> {
  const works = await Promise.all(
    [run("docker", ["compose", "version"]), run("docker-compose", ["version"])].map((one) =>
      one.then(
        () => true,
        () => false,
      ),
    ),
  );
  return works.includes(true);
}
