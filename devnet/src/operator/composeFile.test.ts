import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { NODE_OPTIONS } from "../options.ts";
import { composeFile, composePorts, composeRpcUrls, DEFAULT_COMPOSE } from "./composeFile.ts";

const run = promisify(execFile);
const read = (nodes: number, more: Partial<typeof DEFAULT_COMPOSE> = {}) =>
  parse(composeFile({ ...DEFAULT_COMPOSE, ...more, nodes }));

test("nodes, PostgreSQL and explorer; the nodes find the first one", () => {
  const { services, volumes } = read(3);
  expect(Object.keys(services)).toEqual(["postgres", "databases", "node0", "node1", "node2", "explorer"]);
  expect(Object.keys(volumes)).toEqual(["postgres", "node0", "node1", "node2"]);
  expect(services.node0.environment).not.toHaveProperty("GEVULOT_P2P_DISCOVERY_ADDR");
  expect(services.node2.environment).toMatchObject({ GEVULOT_P2P_DISCOVERY_ADDR: "127.0.0.1:9999" });
  const shown = services.explorer.entrypoint.filter((word: string) => word.startsWith("http"));
  expect(shown).toEqual(composeRpcUrls(3));
});

test("every variable is one of the node's, and nothing listens beyond this machine", () => {
  const { services } = read(2);
  const known = NODE_OPTIONS.map(({ variable }) => variable);
  for (const name of ["node0", "node1"]) {
    const { environment } = services[name];
    expect(known).toEqual(expect.arrayContaining(Object.keys(environment)));
    for (const [variable, value] of Object.entries(environment)) {
      if (variable.endsWith("_ADDR")) expect(value).toMatch(/^127\.0\.0\.1:/);
    }
  }
  expect(services.postgres.command.join(" ")).toContain("listen_addresses=127.0.0.1");
});

test("no two share a port, also with as many nodes as can be", () => {
  const ports = Array.from({ length: 50 }, (_, index) => Object.values(composePorts(index))).flat();
  expect(new Set([...ports, 25_432, 9940]).size).toBe(50 * 4 + 2);
});

test("KVM where it is asked for", () => {
  expect(read(1).services.node0).not.toHaveProperty("devices");
  expect(read(1, { kvm: true }).services.node0.devices).toEqual(["/dev/kvm:/dev/kvm"]);
});

test("compose takes it", async (context) => {
  const compose = await findCompose();
  if (compose === null) context.skip("no docker compose here, nor docker-compose");
  const dir = await mkdtemp(join(tmpdir(), "compose-"));
  try {
    const file = join(dir, "compose.yaml");
    await writeFile(file, composeFile(DEFAULT_COMPOSE));
    const [command = "", ...args] = compose as string[];
    const { stdout } = await run(command, [...args, "-f", file, "config"]);
    const { services } = parse(stdout);
    expect(Object.keys(services)).toHaveLength(6);
    // Compose doubles the dollar signs again in what it prints.
    expect(services.databases.entrypoint[2]).toContain("$$((tries + 1))");
  } finally {
    await rm(dir, { recursive: true });
  }
});

async function findCompose(): Promise<string[] | null> {
  for (const words of [["docker", "compose"], ["docker-compose"]]) {
    const [command = "", ...args] = words;
    const works = await run(command, [...args, "version"]).then(
      () => true,
      () => false,
    );
    if (works) return words;
  }
  return null;
}
