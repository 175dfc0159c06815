import { isGevulotError } from "gevulot-sdk";
import { describe, expect, test } from "vitest";
import { parseManifest } from "./manifest.ts";

describe("parseManifest", () => {
  test("an empty one has the workspace where provers expect it", () => {
    expect(parseManifest({})).toEqual({
      args: [],
      env: {},
      files: [],
      dirs: [],
      mapDirs: {},
      workspace: "/workspace",
      readonlyRootfs: false,
      warnings: [],
    });
  });

  test("takes what existing provers write, keys in any case", () => {
    const manifest = parseManifest({
      program: "bin/prover",
      ARGS: ["a b", ""],
      Env: { RUST_LOG: "debug" },
      files: ["data/key.bin"],
      Dirs: ["static"],
      mapdirs: { "build/*.bin": "/params" },
      Mounts: { "%1": "/data/space" },
      ManifestPassthrough: { readonly_rootfs: "true" },
      RebootOnExit: true,
      RunConfig: { Memory: "2G", CPUs: 2 },
      NanosVersion: "0.1.54",
    });
    expect(manifest).toMatchObject({
      program: "bin/prover",
      args: ["a b", ""],
      env: { RUST_LOG: "debug" },
      files: ["data/key.bin"],
      dirs: ["static"],
      mapDirs: { "build/*.bin": "/params" },
      workspace: "/data/space",
      readonlyRootfs: true,
    });
    expect(manifest.warnings.map((text) => text.split(" ")[0])).toEqual([
      "RebootOnExit",
      "RunConfig",
      "NanosVersion",
    ]);
  });

  const wrong: [name: string, json: unknown, key: string, reason: RegExp][] = [
    ["null", null, "", /JSON object/],
    ["an array", [], "", /JSON object/],
    ["an unknown key", { Progam: "x" }, "Progam", /no such key; known are Program, Args/],
    ["a key twice", { Args: [], args: [] }, "args", /twice/],
    ["Args of numbers", { Args: [1] }, "Args.0", /expected string/],
    ["Args as a text", { Args: "a" }, "Args", /expected array/],
    ["a NUL byte", { Args: ["a\0b"] }, "Args.0", /NUL/],
    ["Env of a number", { Env: { A: 1 } }, "Env.A", /expected string/],
    ["an Env name with a dash", { Env: { "A-B": "1" } }, "Env.A-B", /no name of an environment variable/],
    ["an empty Program", { Program: "" }, "Program", /empty/],
    ["Klibs", { Klibs: ["gpu_nvidia"] }, "Klibs", /not built yet: kernel modules of Nanos/],
    ["Kernel, in lower case", { kernel: "k" }, "kernel", /not built yet: .*--kernel/],
    ["CloudConfig", { CloudConfig: {} }, "CloudConfig", /not built yet/],
    ["two mounts", { Mounts: { "%1": "/a", "%2": "/b" } }, "Mounts", /only one mount/],
    ["a volume", { Mounts: { data: "/workspace" } }, "Mounts", /volumes are not built yet/],
    ["a read-only mount", { Mounts: { "%1": "/workspace:ro" } }, "Mounts", /can't be read-only/],
    ["a relative mount point", { Mounts: { "%1": "workspace" } }, "Mounts", /no plain absolute path/],
    ["a mount point with dots", { Mounts: { "%1": "/a/../b" } }, "Mounts", /no plain absolute path/],
    ["a mount point for a shell", { Mounts: { "%1": "/a $(b)" } }, "Mounts", /no plain absolute path/],
    ["a mount over the system", { Mounts: { "%1": "/dev" } }, "Mounts", /used by the system/],
    [
      "a boolean passed through",
      { ManifestPassthrough: { readonly_rootfs: true } },
      "ManifestPassthrough.readonly_rootfs",
      /write a string: "true"/,
    ],
    [
      "a flag not built",
      { ManifestPassthrough: { debug_exit: "t" } },
      "ManifestPassthrough.debug_exit",
      /not built yet/,
    ],
    ["an unknown flag", { ManifestPassthrough: { x: "t" } }, "ManifestPassthrough.x", /no such flag/],
    ["RebootOnExit as a text", { RebootOnExit: "true" }, "RebootOnExit", /expected boolean/],
    ["RunConfig as a list", { RunConfig: [] }, "RunConfig", /expected record/],
  ];
  test.each(wrong)("refuses %s", (_, json, key, reason) => {
    try {
      parseManifest(json);
    } catch (error) {
      if (!isGevulotError(error, "MANIFEST_INVALID")) throw error;
      expect(error.context.key).toBe(key);
      expect(error.context.reason).toMatch(reason);
      expect(error.message).toContain(key);
      return;
    }
    expect.unreachable("it was taken");
  });
});
