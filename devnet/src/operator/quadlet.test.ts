import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CONTAINERFILE, readContainerfile } from "./containerfile.ts";
import { writeOutputFiles } from "./outputFiles.ts";
import { NO_PASSTHROUGH, type Passthrough } from "./passthrough.ts";
import { type QuadletOptions, quadletFiles } from "./quadlet.ts";

const run = promisify(execFile);
const GOLDEN = fileURLToPath(new URL("../../../test/fixtures/quadlet", import.meta.url));
const OPTIONS: QuadletOptions = {
  image: "ghcr.io/example/gevulot-node:latest",
  advertise: "203.0.113.7:9999",
  discovery: ["peer.example:9999", "203.0.113.8:9999"],
  whitelistUrl: "https://example.com/keys.txt",
  dataDirectory: "/var/lib/gevulot",
};
const CARD: Passthrough = {
  gpus: ["0000:01:00.0"],
  slots: ["0000:01:00.0", "0000:01:00.1"],
  ids: ["10de:2684", "10de:22ba"],
  iommuGroups: ["13"],
  warnings: [],
};

let dir = "";
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "quadlet-"));
  await writeOutputFiles(dir, quadletFiles(OPTIONS, CARD, await readContainerfile()), { force: false });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** A unit as systemd reads it: keys and all their values, by section. */
async function readUnit(path: string): Promise<Map<string, [key: string, value: string][]>> {
  const sections = new Map<string, [string, string][]>();
  let section: [string, string][] | undefined;
  for (const line of (await readFile(path, "utf8")).split("\n")) {
    const [, name] = /^\[([\w-]+)\]$/.exec(line) ?? [];
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined) {
      expect(sections.has(name), `${name} comes once`).toBe(false);
      section = [];
      sections.set(name, section);
    } else if (key !== undefined && value !== undefined) section?.push([key, value]);
    else expect(line, path).toMatch(/^(#.*)?$/);
  }
  return sections;
}

test("the files are as they were, text and mode", async () => {
  const files = quadletFiles(OPTIONS, CARD, "FROM scratch\n");
  for (const { path, content } of files) await expect(content).toMatchFileSnapshot(join(GOLDEN, path));
  const golden = (await readdir(GOLDEN, { recursive: true, withFileTypes: true })).filter((one) =>
    one.isFile(),
  );
  expect(golden.map(({ name }) => name).sort()).toEqual(files.map(({ path }) => basename(path)).sort());
  expect(files.filter(({ mode }) => mode !== undefined).map(({ path, mode }) => [path, mode])).toEqual([
    ["etc/gevulot/node.env", 0o600],
    ["etc/gevulot/postgres.env", 0o600],
    ["usr/local/libexec/gevulot-vfio-bind", 0o755],
  ]);
});

test("without a GPU nothing of one is there", () => {
  const texts = quadletFiles(OPTIONS, NO_PASSTHROUGH, "").map(({ path, content }) => `${path}\n${content}`);
  expect(texts.join("\n").match(/.*(vfio|nvidia|dracut).*/gi)).toEqual([
    "# VFIO can't be used with SELinux labels.",
  ]);
});

test("what is there is not written over, and then nothing is written", async () => {
  const [first, second] = [
    { path: "a/new", content: "x" },
    { path: "INSTALL.md", content: "mine" },
  ];
  await expect(writeOutputFiles(dir, [first, second], { force: false })).rejects.toMatchObject({
    code: "EXPORT_EXISTS",
    message: expect.stringContaining("INSTALL.md"),
  });
  expect(existsSync(join(dir, "a"))).toBe(false);
});

/** What Podman 4.4 knows, the first with Quadlet: an unknown key makes it refuse the unit. */
const KEYS_OF_PODMAN_4_4: Readonly<Record<string, readonly string[]>> = {
  Container: [
    ..."AddCapability AddDevice AutoUpdate ContainerName DropCapability EnvironmentFile Exec Image Network".split(
      " ",
    ),
    ..."NoNewPrivileges PodmanArgs SecurityLabelDisable Volume".split(" "),
  ],
  Volume: ["Label"],
};

describe("the units", () => {
  const units = ["gevulot-node.container", "gevulot-postgres.container", "gevulot-postgres.volume"];

  test("use keys that every Quadlet knows, and name units that are there", async () => {
    for (const name of units) {
      const sections = await readUnit(join(dir, "etc/containers/systemd", name));
      for (const [section, known] of Object.entries(KEYS_OF_PODMAN_4_4)) {
        for (const [key] of sections.get(section) ?? []) expect(known, `${name}: ${key}`).toContain(key);
      }
      for (const [key, value] of sections.get("Unit") ?? []) {
        if (key !== "Requires" && key !== "After") continue;
        const own = value.split(" ").filter((each) => each.startsWith("gevulot-"));
        for (const each of own) {
          const sources = [
            `etc/systemd/system/${each}`,
            `etc/containers/systemd/${each.replace(".service", ".container")}`,
          ];
          expect(
            sources.some((path) => existsSync(join(dir, path))),
            each,
          ).toBe(true);
        }
      }
    }
  });

  test("Quadlet's own generator takes them", async (context) => {
    const found = [process.env.QUADLET ?? "", "/usr/libexec/podman/quadlet", "/usr/lib/podman/quadlet"].find(
      existsSync,
    );
    if (found === undefined) context.skip("no Quadlet here: Podman is older than 4.4 or not installed");
    const generated = join(dir, "generated");
    await mkdir(generated);
    const env = { ...process.env, QUADLET_UNIT_DIRS: join(dir, "etc/containers/systemd") };
    const { stderr } = await run(found as string, [generated], { env });
    expect(stderr.split("\n").filter((line) => line !== "" && !line.includes("Loading source unit"))).toEqual(
      [],
    );
    const services = (await readdir(generated)).filter((name) => name.endsWith(".service")).sort();
    expect(services).toEqual([
      "gevulot-node.service",
      "gevulot-postgres-volume.service",
      "gevulot-postgres.service",
    ]);
    const start = await readFile(join(generated, "gevulot-node.service"), "utf8");
    for (const wanted of [
      "/dev/kvm:/dev/kvm:rw",
      "/dev/vfio/13:/dev/vfio/13:rw",
      "--ulimit=memlock=-1:-1",
      OPTIONS.image,
    ]) {
      expect(start.match(/^ExecStart=.*/m)?.[0]).toContain(wanted);
    }
    await verify(generated, services);
  });

  test("systemd takes the unit that binds", async (context) => {
    if (!existsSync("/usr/bin/systemd-analyze")) context.skip("no systemd-analyze here");
    const folder = join(dir, "bind");
    await mkdir(folder);
    await verify(folder, []);
  });

  test("udev takes the rule", async (context) => {
    const isKnown = await run("udevadm", ["verify", "--help"]).then(
      () => true,
      () => false,
    );
    if (!isKnown) context.skip("no udevadm with verify here: it came with systemd 254");
    await run("udevadm", ["verify", join(dir, "etc/udev/rules.d/90-gevulot-vfio.rules")]);
  });

  /** With the unit that binds beside them, its program where it was exported to. */
  async function verify(folder: string, services: readonly string[]): Promise<void> {
    const name = "gevulot-vfio-bind.service";
    const text = await readFile(join(dir, "etc/systemd/system", name), "utf8");
    await writeFile(join(folder, name), text.replace("ExecStart=", `ExecStart=${dir}`));
    if (!existsSync("/usr/bin/systemd-analyze")) return;
    const paths = [...services, name].map((each) => join(folder, each));
    const env = { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:` };
    const { stderr } = await run("systemd-analyze", ["verify", ...paths], { env });
    expect(stderr).toBe("");
  }
});

describe("gevulot-vfio-bind", () => {
  const device = (sys: string, slot: string) => join(sys, "bus/pci/devices", slot);

  async function makeSysfs(drivers: Readonly<Record<string, string | null>>): Promise<string> {
    const sys = await mkdtemp(join(dir, "sys-"));
    for (const name of ["vfio-pci", "nouveau", "xhci_hcd"]) {
      await mkdir(join(sys, "bus/pci/drivers", name), { recursive: true });
    }
    for (const [slot, driver] of Object.entries(drivers)) {
      await mkdir(device(sys, slot), { recursive: true });
      if (driver !== null) await symlink(`../../drivers/${driver}`, join(device(sys, slot), "driver"));
    }
    return sys;
  }
  const bind = (sys: string, ...slots: string[]) =>
    run(join(dir, "usr/local/libexec/gevulot-vfio-bind"), slots, { env: { ...process.env, SYSFS: sys } });
  const written = (sys: string, path: string) =>
    readFile(join(sys, "bus/pci", path), "utf8").catch(() => null);

  test("takes a function from a built-in driver, and one that nobody has; leaves one that vfio-pci has", async () => {
    const sys = await makeSysfs({
      "0000:01:00.2": "xhci_hcd",
      "0000:01:00.3": null,
      "0000:01:00.0": "vfio-pci",
    });
    await bind(sys, "0000:01:00.2");
    expect(await written(sys, "devices/0000:01:00.2/driver_override")).toBe("vfio-pci\n");
    expect(await written(sys, "drivers/xhci_hcd/unbind")).toBe("0000:01:00.2\n");
    expect(await written(sys, "drivers/vfio-pci/bind")).toBe("0000:01:00.2\n");
    await bind(sys, "0000:01:00.3", "0000:01:00.0");
    expect(await written(sys, "drivers/vfio-pci/bind")).toBe("0000:01:00.3\n");
    expect(await written(sys, "devices/0000:01:00.0/driver_override")).toBe(null);
  });

  test("a card that is gone fails the unit by name, and the others are bound", async () => {
    const sys = await makeSysfs({ "0000:01:00.0": "nouveau" });
    await expect(bind(sys, "0000:09:00.0", "0000:01:00.0")).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no device in slot 0000:09:00.0"),
    });
    expect(await written(sys, "drivers/vfio-pci/bind")).toBe("0000:01:00.0\n");
  });
});

test("the Containerfile gives the unit what it starts", async () => {
  const text = await readFile(CONTAINERFILE, "utf8");
  const stages = text.split(/^FROM /m);
  const node = stages.find((stage) => / AS node\n/.test(stage)) ?? "";
  expect(node).toContain('ENTRYPOINT ["gevulot-node"]\nCMD ["run"]');
  expect(node).toMatch(/EXPOSE 9944 9995 9999/);
});
