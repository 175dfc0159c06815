import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ImageEntry } from "../imageFiles.ts";
import { checkGpu, isUsable } from "./checkGpu.ts";
import { findGpuModules } from "./gpuModules.ts";
import { gpuTemplate } from "./gpuTemplate.ts";

const KERNEL = "6.1.0-41-amd64";
const DRIVER = "550.144.03";
const module = (version = DRIVER, kernel = KERNEL) =>
  `\x7fELF…\0license=Dual MIT/GPL\0version=${version}\0srcversion=X\0vermagic=${kernel} SMP preempt mod_unload\0`;

/** A made-up tree that has all: content, or where a link leads. */
const WHOLE: Readonly<Record<string, string>> = {
  [`/usr/lib/modules/${KERNEL}/nvidia/nvidia.ko`]: module(),
  [`/usr/lib/modules/${KERNEL}/nvidia/nvidia-uvm.ko`]: module(),
  [`/usr/lib/x86_64-linux-gnu/libcuda.so.${DRIVER}`]: "cuda",
  "/usr/lib/x86_64-linux-gnu/libcuda.so.1": `-> libcuda.so.${DRIVER}`,
  "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1": "ml",
  [`/usr/lib/firmware/nvidia/${DRIVER}/gsp_ga10x.bin`]: "gsp",
};

function check(tree: Readonly<Record<string, string | undefined>>, gpus = 1) {
  const contents = new Map(
    Object.entries(tree).filter((one): one is [string, string] => one[1] !== undefined),
  );
  const entries = [...contents].map(([path, content]): ImageEntry => {
    const entry = { path, mode: "", sizeBytes: content.length };
    return content.startsWith("-> ")
      ? { ...entry, kind: "link", target: content.slice(3) }
      : { ...entry, kind: "file" };
  });
  const read = async ({ path }: ImageEntry) => Buffer.from(contents.get(path) ?? "", "latin1");
  return checkGpu({ kernelVersion: KERNEL, resources: { gpus }, entries, read });
}

describe("checkGpu", () => {
  test("all is there, and of one driver", async () => {
    const findings = await check(WHOLE);
    expect(findings.filter(({ state }) => state !== "ok")).toEqual([]);
    expect(isUsable(findings)).toBe(true);
  });

  const at = (folder: string, name: string) => `/usr/lib/${folder}/${name}`;
  const nvidia = at(`modules/${KERNEL}/nvidia`, "nvidia.ko");
  const uvm = at(`modules/${KERNEL}/nvidia`, "nvidia-uvm.ko");
  const cuda = at("x86_64-linux-gnu", "libcuda.so.1");
  const cudaFile = at("x86_64-linux-gnu", `libcuda.so.${DRIVER}`);
  const gsp = at(`firmware/nvidia/${DRIVER}`, "gsp_ga10x.bin");
  test.each<[string, Record<string, string | undefined>, string, string, RegExp]>([
    [
      "no module",
      { [nvidia]: undefined },
      "kernel module",
      "missing",
      /nvidia\.ko for Linux 6\.1\.0-41-amd64/,
    ],
    [
      "a packed module",
      { [nvidia]: undefined, [`${nvidia}.xz`]: "x" },
      "kernel module",
      "missing",
      /\.xz is packed.*unpack/,
    ],
    [
      "another kernel's",
      { [nvidia]: module(DRIVER, "6.8.0-31-generic") },
      "kernel module",
      "mismatch",
      /made for Linux 6\.8\.0-31-generic/,
    ],
    [
      "no module on which another depends",
      { [nvidia]: `${module()}depends=drm\0` },
      "kernel module",
      "missing",
      /^drm\.ko, which nvidia\.ko needs; .*Linux 6\.1\.0-41-amd64/,
    ],
    [
      "a packed one",
      { [nvidia]: `${module()}depends=i2c-core\0`, [at("modules/x", "i2c-core.ko.xz")]: "" },
      "kernel module",
      "missing",
      /i2c-core\.ko\.xz, which nvidia\.ko needs, is packed.*unpack it/,
    ],
    [
      "a module elsewhere",
      { [nvidia]: undefined, "/opt/nvidia/nvidia.ko": module() },
      "kernel module",
      "missing",
      /install them in \/lib\/modules\/6\.1\.0-41-amd64/,
    ],
    [
      "another kernel's unified memory",
      { [uvm]: module(DRIVER, "6.8.0-31-generic") },
      "unified memory",
      "mismatch",
      /made for Linux 6\.8\.0-31-generic/,
    ],
    [
      "another driver's unified memory",
      { [uvm]: module("535.1.1") },
      "unified memory",
      "mismatch",
      /of driver 535\.1\.1, nvidia\.ko of 550\.144\.03/,
    ],
    ["a module that is none", { [nvidia]: "hello" }, "kernel module", "mismatch", /no kernel module/],
    ["no libcuda", { [cuda]: undefined }, "libcuda", "missing", /toolkit would bring it at run time/],
    ["a libcuda that leads nowhere", { [cudaFile]: undefined }, "libcuda", "missing", /which is not there/],
    [
      "another driver's libcuda",
      { [nvidia]: module("535.1.1") },
      "libcuda",
      "mismatch",
      /of driver 550\.144\.03.*of 535\.1\.1/,
    ],
    ["a libcuda without its version", { [cuda]: "of 535.1.1" }, "libcuda", "mismatch", /another version/],
    ["no firmware", { [gsp]: undefined }, "firmware", "missing", /nvidia\/550\.144\.03\/gsp_/],
    [
      "another driver's firmware",
      { [gsp]: undefined, [gsp.replace(DRIVER, "535.1.1")]: "" },
      "firmware",
      "mismatch",
      /535\.1\.1.*550\.144\.03/,
    ],
    [
      "no unified memory",
      { [at(`modules/${KERNEL}/nvidia`, "nvidia-uvm.ko")]: undefined },
      "unified memory",
      "missing",
      /nvidia-uvm\.ko/,
    ],
  ])("%s", async (_, change, part, state, text) => {
    const findings = await check({ ...WHOLE, ...change });
    expect(findings).toContainEqual({ part, state, text: expect.stringMatching(text) });
    expect(isUsable(findings)).toBe(false);
  });

  test("of modules for two kernels those that init loads", async () => {
    const other = Object.fromEntries(
      ["nvidia.ko", "nvidia-uvm.ko"].flatMap((name) =>
        ["6.0.0", "6.5.0-9-amd64"].map((kernel) => [
          at(`modules/${kernel}`, name),
          module("535.1.1", kernel),
        ]),
      ),
    );
    expect((await check({ ...other, ...WHOLE })).filter(({ state }) => state !== "ok")).toEqual([]);
    const findings = await check({ ...other, ...WHOLE, [nvidia]: undefined });
    expect(findings[1]).toMatchObject({ part: "kernel module", state: "missing" });
  });

  test("no GPU asked for; and a library that only some programs need", async () => {
    expect((await check(WHOLE, 0))[0]).toMatchObject({
      state: "missing",
      text: expect.stringMatching(/"GPUs": 1/),
    });
    const without = await check({ ...WHOLE, [at("x86_64-linux-gnu", "libnvidia-ml.so.1")]: undefined });
    expect(isUsable(without)).toBe(true);
    expect(isUsable(await check(WHOLE, 0))).toBe(true);
  });
});

test("the modules that the guest loads are found in its root, in order, and nowhere else", async () => {
  const root = await mkdtemp(join(tmpdir(), "gevulot-gpu-test-"));
  try {
    expect(await findGpuModules(root, KERNEL)).toEqual([]);
    for (const path of Object.keys(WHOLE)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), "");
    }
    await symlink("usr/lib", join(root, "lib"));
    const folder = `/usr/lib/modules/${KERNEL}/nvidia`;
    const other = join(root, "usr/lib/modules/6.5.0-9-amd64");
    await mkdir(other);
    await writeFile(join(other, "nvidia.ko"), "");
    const own = [`${folder}/nvidia.ko`, `${folder}/nvidia-uvm.ko`];
    expect(await findGpuModules(root, KERNEL)).toEqual(own);
    await writeFile(join(root, `${folder}/nvidia.ko`), "\0depends=drm,absent\0", "latin1");
    await writeFile(join(root, `${folder}/drm.ko`), "\0depends=i2c-core\0", "latin1");
    await writeFile(join(root, `${folder}/i2c-core.ko`), "\0depends=\0", "latin1");
    await writeFile(join(root, `${folder}/other.ko`), "");
    const needed = [`${folder}/i2c-core.ko`, `${folder}/drm.ko`];
    expect(await findGpuModules(root, KERNEL)).toEqual([...needed, ...own]);
  } finally {
    await rm(root, { recursive: true });
  }
});

test("the template names one driver and one kernel throughout", () => {
  const text = gpuTemplate({ kernelVersion: KERNEL, driver: DRIVER });
  expect(text).toContain(`ARG DRIVER=${DRIVER}\nARG KERNEL=${KERNEL}`);
  // What a later stage uses it declares, or it is empty there.
  for (const stage of text.split(/^FROM /m).slice(1)) {
    for (const name of ["DRIVER", "KERNEL"]) {
      if (stage.includes(`\${${name}}`)) expect(stage).toContain(`ARG ${name}\n`);
    }
  }
});
