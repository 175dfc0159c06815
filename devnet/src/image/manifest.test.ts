import { isGevulotError } from "gevulot-sdk";
import { describe, expect, test } from "vitest";
import { parseManifest } from "./manifest.ts";
import { linuxNotes } from "./manifestNotes.ts";

describe("parseManifest", () => {
  test("an empty one has the workspace where provers expect it", () => {
    expect(parseManifest({})).toEqual({
      args: [],
      env: {},
      files: [],
      dirs: [],
      mapDirs: {},
      mounts: {},
      workspace: "/workspace",
      volumes: [],
      readonlyRootfs: false,
      passthrough: {},
      rebootOnExit: false,
      nameServers: [],
      klibs: [],
      runConfig: { resources: {}, ignored: [] },
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
    expect(manifest.runConfig.resources).toEqual({ memMib: 2048, cpus: 2 });
  });

  test("takes the two manifests that provers have today without a warning", () => {
    const prover = parseManifest({
      ManifestPassthrough: { readonly_rootfs: "true" },
      Env: { RUST_BACKTRACE: "1", RUST_LOG: "trace" },
      Program: "prover",
      Mounts: { "%1": "/workspace" },
    });
    expect(linuxNotes(prover)).toEqual({ warnings: [], notes: [] });
    const example = parseManifest({
      RebootOnExit: true,
      Files: ["rust-fil-proofs.config.toml"],
      Env: { BELLMAN_NO_GPU: "1", RUST_LOG: "info", RUST_BACKTRACE: "1" },
      Args: ["winning-post", "--size", "2KiB", "--fake"],
      Program: "benchy",
      Mounts: { tmp: "/tmp" },
    });
    expect(linuxNotes(example)).toEqual({
      warnings: [],
      notes: [expect.stringMatching(/^RebootOnExit means nothing for a task/)],
    });
    expect(example).toMatchObject({ volumes: [{ label: "tmp", path: "/tmp", readonly: false }] });
  });

  test("explains each key and flag that comes to nothing under Linux", () => {
    const { warnings, notes } = linuxNotes(
      parseManifest({
        Klibs: ["gpu_nvidia"],
        KlibDir: "klibs",
        Boot: "boot.img",
        Kernel: "kernel.img",
        NanosVersion: "0.1.54",
        BaseVolumeSz: "64m",
        CloudConfig: { Zone: "z" },
        NameServers: ["1.1.1.1"],
        ManifestPassthrough: {
          readonly_rootfs: "true",
          cwd: "/app",
          debug_exit: "t",
          readonly_rootf: "t",
          x: "",
        },
        RunConfig: { Memory: "512", GPUs: 1, deadlineseconds: 90, Accel: true },
      }),
    );
    expect(warnings.map((text) => text.split(" ")[0])).toEqual([
      "Klibs",
      "KlibDir",
      "Boot",
      "Kernel",
      "NanosVersion",
      "BaseVolumeSz",
      "CloudConfig",
      "NameServers",
      "ManifestPassthrough.debug_exit",
      "ManifestPassthrough.readonly_rootf",
      "ManifestPassthrough.x",
    ]);
    expect(warnings.at(-2)).toMatch(/did you mean readonly_rootfs\?$/);
    expect(notes).toEqual([
      "RunConfig: 512 MiB, 1 GPU, unless the deployment says otherwise.",
      "RunConfig: a task ends after 90 s, or sooner where a node allows less.",
      "RunConfig: only Memory, CPUs, GPUs, DeadlineSeconds and ImageName count, not Accel.",
    ]);
  });

  test("takes null as nothing said, and a slash at the end of a mount", () => {
    const empty = { Program: null, args: null, Mounts: null, Exec: null, RunConfig: { Memory: null } };
    expect(parseManifest(empty)).toEqual(parseManifest({}));
    expect(parseManifest({ Mounts: { "%1": "/ws/", params: "/p//:ro" } })).toMatchObject({
      workspace: "/ws",
      volumes: [{ label: "params", path: "/p", readonly: true }],
    });
  });

  test.each([
    [{ Exec: true }, { outputs: [] }],
    [
      { exec: { ProofFile: "/workspace/p.bin", Outputs: ["out/*.json"] } },
      { proofFile: "p.bin", outputs: ["out/*.json"] },
    ],
  ])("reads %j", (json, exec) => {
    expect(parseManifest(json)).toMatchObject({ exec });
  });

  const wrong: [name: string, json: unknown, key: string, reason: RegExp][] = [
    ["null", null, "", /JSON object/],
    ["an array", [], "", /JSON object/],
    ["an unknown key", { Progam: "x" }, "Progam", /no such key; did you mean Program\?/],
    ["another", { Entirely: "x" }, "Entirely", /no such key; known are Program, Args/],
    ["a key twice", { Args: [], args: [] }, "args", /twice/],
    ["Args of numbers", { Args: [1] }, "Args.0", /expected string/],
    ["Args as a text", { Args: "a" }, "Args", /expected array/],
    ["a NUL byte", { Args: ["a\0b"] }, "Args.0", /NUL/],
    ["Env of a number", { Env: { A: 1 } }, "Env.A", /expected string/],
    ["an Env name with =", { Env: { "A=B": "1" } }, "Env.A=B", /no name of an environment variable/],
    ["an empty Program", { Program: "" }, "Program", /empty/],
    ["Klibs as a text", { Klibs: "gpu_nvidia" }, "Klibs", /expected array/],
    ["a name server without an address", { NameServers: ["dns"] }, "NameServers.0", /addresses such as/],
    ["the root as a mount point", { Mounts: { "%1": "/" } }, "Mounts", /no plain absolute path/],
    ["two workspaces", { Mounts: { "%1": "/a", "%2": "/b" } }, "Mounts", /two of them/],
    [
      "a volume under another",
      { Mounts: { a: "/v", b: "/v/w" } },
      "Mounts",
      /"b" at \/v\/w .* hide each other/,
    ],
    ["a volume over the workspace", { Mounts: { a: "/workspace:ro" } }, "Mounts", /hide each other/],
    ["a volume's name for a shell", { Mounts: { "a b": "/v" } }, "Mounts", /neither the workspace/],
    ["a volume over the system", { Mounts: { a: "/proc" } }, "Mounts", /used by the system/],
    ["Memory of nothing", { RunConfig: { Memory: "much" } }, "RunConfig.Memory", /"512m" or "2G"/],
    ["no CPU", { RunConfig: { CPUs: 0 } }, "RunConfig.CPUs", /from 1 to/],
    ["half a GPU", { RunConfig: { gpus: 0.5 } }, "RunConfig.gpus", /whole number/],
    ["no time", { RunConfig: { DeadlineSeconds: 0 } }, "RunConfig.DeadlineSeconds", /from 1 to/],
    ["a proof outside", { Exec: { ProofFile: "../p" } }, "Exec", /no file of the workspace/],
    ["a relative cwd", { ManifestPassthrough: { cwd: "app" } }, "ManifestPassthrough.cwd", /absolute/],
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
