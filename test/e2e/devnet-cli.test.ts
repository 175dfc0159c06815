import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GevulotClient } from "gevulot-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { binPath, processesWith, runCli } from "../fixtures/cli.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "devnet-cli-"));
});
afterAll(async () => {
  await runCli("gevulot-devnet", ["down"], { cwd: dir });
  await rm(dir, { recursive: true, force: true });
});

/** What is noted of devnets in the user's folder goes here. */
const env = () => ({ XDG_STATE_HOME: join(dir, "user-state") });
const devnet = (...args: string[]) => runCli("gevulot-devnet", args, { cwd: dir, env: env() });

describe("gevulot-devnet up, status, down", () => {
  test("in the background, as JSON, with taken ports, and nothing left at the end", async () => {
    // Somebody else's does as well.
    const squatter = createServer().on("error", () => {});
    squatter.listen(9944, "127.0.0.1");
    const up = await devnet("up", "--nodes=1", "--detach", "--json", "--no-execution");
    squatter.close();
    expect([up.code, up.stderr]).toEqual([0, ""]);
    expect(up.stdout.trim().split("\n")).toHaveLength(1);
    const envelope = JSON.parse(up.stdout);
    expect(envelope).toMatchObject({ schemaVersion: 1, command: "up", status: "ok", error: null });
    expect(envelope.warnings.join()).toContain("port 9944 (JSON-RPC) is taken by process");
    const [node] = envelope.data.nodes;
    expect(Object.keys(node)).toEqual(
      expect.arrayContaining(["name", "rpcUrl", "httpUrl", "p2pAddress", "publicKey", "pid", "databaseUrl"]),
    );
    expect(node.rpcUrl).not.toContain(":9944");
    // It runs no tasks.
    expect(node.vsock).toBeNull();
    for (const account of envelope.data.accounts) {
      const key = await readFile(account.keyFile);
      expect([key.length, key.toString("hex")]).toEqual([32, account.secretKey]);
    }
    const answer = await fetch(node.rpcUrl, {
      method: "POST",
      body: '{"jsonrpc":"2.0","id":1,"method":"nothing"}',
    });
    expect(await answer.json()).toMatchObject({ error: { code: -32601 } });

    const page = await (await fetch(envelope.data.explorerUrl)).text();
    expect(page).toContain("<title>Gevulot explorer</title>");

    const status = await devnet("status", "--json");
    expect(JSON.parse(status.stdout)).toEqual({ ...envelope, command: "status" });
    const second = await devnet("up");
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/A devnet runs here already .* gevulot-devnet down/);

    const listed = JSON.parse((await devnet("ls", "--json")).stdout).data;
    expect(listed).toMatchObject([{ state: "running", nodes: 1, rpcUrl: node.rpcUrl }]);
    expect(await devnet("down")).toMatchObject({ code: 0, stdout: "stopped\n" });
    expect(await processesWith(dir)).toEqual([]);
    expect((await devnet("ls")).stdout).toMatch(/^STATE .*\nstopped .*\.gevulot\/devnet\n$/);
    await expect(fetch(node.rpcUrl)).rejects.toThrow();
    expect(await devnet("down")).toMatchObject({ code: 0, stdout: "no devnet runs here\n" });
  });

  test("stop and start keep addresses; restart and reset too, and reset empties", async () => {
    const up = JSON.parse((await devnet("up", "--nodes=1", "-d", "--json", "--no-execution")).stdout);
    const [{ rpcUrl, pid }] = up.data.nodes;
    const client = new GevulotClient({ url: rpcUrl, key: up.data.accounts[0].secretKey });
    const file = join(dir, "program.img");
    await writeFile(file, "kept by the node, never run");
    const source = { file, resources: { memMib: 64, cpus: 1 } };
    const { hash } = (await client.deploy({ name: "kept", prover: source, verifier: source })).prover;
    const again = JSON.parse((await devnet("restart", "--json")).stdout).data.nodes[0];
    expect(again).toMatchObject({ rpcUrl, publicKey: up.data.nodes[0].publicKey });
    expect(again.pid).not.toBe(pid);
    const programs = async () => (await client.listPrograms()).items.map(({ program }) => program);
    expect(await programs()).toContain(hash);
    expect((await devnet("reset")).stdout).toBe("emptied; it runs\n");
    expect(await programs()).toEqual([]);

    expect((await devnet("stop")).stdout).toBe("stopped\n");
    expect(JSON.parse((await devnet("start", "--json")).stdout).data.nodes[0].rpcUrl).toBe(rpcUrl);
    await devnet("down", "--all", "--quiet");
    expect((await devnet("reset", "--json")).stdout).toContain('"running":false');
  });

  test("a configuration file is read, and flags come before it", async () => {
    const project = await mkdtemp(join(dir, "project-"));
    const run = (...args: string[]) => runCli("gevulot-devnet", args, { cwd: project, env: env() });
    await writeFile(join(project, "gevulot.config.ts"), "export default { nodes: 2, execution: false };");
    const up = JSON.parse((await run("up", "-d", "--json", "--nodes=1")).stdout);
    expect(up.data.nodes).toMatchObject([{ vsock: null }]);
    await run("down");
    await writeFile(join(project, "gevulot.config.ts"), "export default { node: 2 };");
    const wrong = await run("up", "--json");
    expect(JSON.parse(wrong.stdout).error).toMatchObject({ code: "DEVNET_CONFIG" });
    const squatter = createServer().listen(0, "127.0.0.1");
    await once(squatter, "listening");
    await rm(join(project, "gevulot.config.ts"));
    const { port } = squatter.address() as { port: number };
    const taken = await run("up", `--rpc-port=${port}`);
    squatter.close();
    expect(taken.stderr).toMatch(new RegExp(`Port ${port} is in use by process ${process.pid} .*--rpc-port`));
  });

  test("state stays over down and up, unless --fresh", async () => {
    const marker = join(dir, ".gevulot/devnet/postgres/marker");
    await devnet("up", "--nodes=1", "--detach", "--no-execution", "--quiet");
    await writeFile(marker, "");
    await devnet("down");
    const text = await devnet("up", "--nodes=1", "--detach", "--no-execution");
    expect(text.stdout).toMatch(/JSON-RPC .*http:\/\/127.0.0.1:\d+[\s\S]*ready in \d/);
    await stat(marker);
    await devnet("down");
    await devnet("up", "--nodes=1", "--detach", "--no-execution", "--fresh");
    await expect(stat(marker)).rejects.toThrow("ENOENT");
    await devnet("down");
  });

  test("three nodes; one is killed, shown so, and started again", async () => {
    const up = JSON.parse((await devnet("up", "--detach", "--json", "--no-execution")).stdout);
    expect(up.data.nodes.map(({ name }: { name: string }) => name)).toEqual(["node0", "node1", "node2"]);
    const pids = async () =>
      JSON.parse((await devnet("status", "--json")).stdout).data.nodes.map(
        ({ pid }: { pid: number | null }) => pid,
      );
    expect((await devnet("node", "kill", "1")).stdout).toBe("node1: kill done\n");
    expect(await pids()).toEqual([expect.any(Number), null, expect.any(Number)]);
    expect((await devnet("node", "start", "1")).code).toBe(0);
    expect(await pids()).toEqual(Array(3).fill(expect.any(Number)));
    expect((await devnet("node", "stop", "7")).stderr).toMatch(/has no node 7/);
    await devnet("down");
  });

  test("several started side by side share out the ports; Ctrl-C during a start is said in one line", async () => {
    // Not below this folder: theirs would be its devnet.
    const others = await Promise.all([1, 2].map((n) => mkdtemp(join(tmpdir(), `devnet-other${n}-`))));
    const ups = await Promise.all(
      others.map((cwd) =>
        runCli("gevulot-devnet", ["up", "--nodes=1", "--detach", "--json", "--no-execution"], { cwd }),
      ),
    );
    for (const up of ups) expect(JSON.parse(up.stdout)).toMatchObject({ status: "ok" });
    for (const cwd of others) {
      await runCli("gevulot-devnet", ["down"], { cwd });
      await rm(cwd, { recursive: true });
    }

    const child = spawn(process.execPath, [binPath("gevulot-devnet"), "up", "--nodes=1", "--no-execution"], {
      cwd: dir,
    });
    let stderr = "";
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    await once(child.stdout, "data");
    child.kill("SIGINT");
    expect(await once(child, "close")).toEqual([130, null]);
    expect(stderr).toBe("error: Stopped by SIGINT before the network was ready.\n");
    await expect.poll(() => processesWith(dir)).toEqual([]);
  });

  test("killed with SIGKILL, it leaves no process, and comes up again", async () => {
    const up = JSON.parse((await devnet("up", "--nodes=1", "--detach", "--json", "--no-execution")).stdout);
    const state = JSON.parse(await readFile(join(dir, ".gevulot/devnet/devnet.json"), "utf8"));
    process.kill(state.pid, "SIGKILL");
    await expect.poll(() => processesWith(dir)).toEqual([]);
    expect((await devnet("status", "--json")).code).toBe(1);
    const again = JSON.parse(
      (await devnet("up", "--nodes=1", "--detach", "--json", "--no-execution")).stdout,
    );
    expect(again.error).toBeNull();
    expect(again.data.nodes[0].publicKey).toBe(up.data.nodes[0].publicKey);
    await devnet("down");
  });
});

describe("what a new user may type", () => {
  test.each<["gevulot-devnet" | "gevulot-node", string[], number, RegExp]>([
    ["gevulot-devnet", [], 2, /Give a command/],
    ["gevulot-devnet", ["upp"], 2, /upp/],
    ["gevulot-devnet", ["up", "--prot", "1"], 2, /prot/],
    ["gevulot-devnet", ["up", "--provider", "docker"], 2, /docker/],
    ["gevulot-devnet", ["up", "--nodes", "51"], 1, /1 to 50 nodes/],
    ["gevulot-devnet", ["up", "--join", "here"], 2, /--join wants host:port/],
    ["gevulot-devnet", ["up", "--stat-dir", "x"], 2, /option "stat-dir"\.\nSee gevulot-devnet up --help/],
    [
      "gevulot-devnet",
      ["image", "cp", "x"],
      2,
      /image cp <file> <path> <rest\.\.>\nSee gevulot-devnet image cp/,
    ],
    ["gevulot-devnet", ["image", "check", "x", "--timeout-seconds", "y"], 2, /--timeout-seconds must be/],
    ["gevulot-devnet", ["up", "--mem-gb", "abc"], 2, /--mem-gb must be a number above 0/],
    ["gevulot-devnet", ["up", "--state-dir", "/etc/hostname/x"], 1, /^error: Can't mkdir .*\n$/],
    ["gevulot-devnet", ["up", "--fresh", "--state-dir", "/etc"], 1, /no devnet's folder.*left as it is/],
    [
      "gevulot-devnet",
      ["status"],
      1,
      /No devnet runs here \(\/.*devnet\)\. Start one with: gevulot-devnet up/,
    ],
    ["gevulot-node", [], 2, /Give a command/],
    ["gevulot-node", ["run", "--p2p-discovery-addrs", "a"], 1, /--p2p-discovery-addrs .*host:port/],
    ["gevulot-node", ["run", "--node-key-file", "/nowhere/key"], 1, /no key file/],
    ["gevulot-node", ["show", "public-key", "--key-file", "/etc/hostname"], 1, /not a key file/],
    ["gevulot-node", ["show", "public-key"], 2, /key-file/],
    [
      "gevulot-node",
      ["migrate", "--db-url", "postgres://x:hunter2@127.0.0.1:1/y"],
      1,
      /x:\*\*\*@.*can't be reached/,
    ],
  ])("%s %s", async (name, args, code, message) => {
    const result = await runCli(name, args, { cwd: dir });
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toContain("hunter2");
    expect(result.code).toBe(code);
  });

  test("keys are made once and shown", async () => {
    const file = join(dir, "node.key");
    const made = await runCli("gevulot-node", ["generate", "key", "--key-file", file]);
    expect(made.stdout).toMatch(/Public key: 04[0-9a-f]{128}/);
    const shown = await runCli("gevulot-node", ["show", "public-key", "--key-file", file]);
    expect(made.stdout).toContain(shown.stdout);
    const again = await runCli("gevulot-node", ["generate", "key", "--key-file", file]);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("exists already")]);
  });

  test("--help shows every command with its options", async () => {
    for (const [name, words] of [
      ["gevulot-devnet", ["up", "down", "status", "image"]],
      ["gevulot-node", ["run", "migrate", "generate key", "show public-key"]],
    ] as const) {
      const { stdout, code } = await runCli(name, ["--help"]);
      expect(code).toBe(0);
      for (const word of words) expect(stdout).toContain(word);
    }
  });
});
