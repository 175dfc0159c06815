import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { runCli } from "../fixtures/cli.ts";

/** What an operator gets from the command line, and from a wrong one. */
const dir = mkdtempSync(join(tmpdir(), "export-"));
afterAll(() => rmSync(dir, { recursive: true }));

const LSPCI = `0000:01:00.0 VGA compatible controller [0300]: NVIDIA Corporation AD102 [GeForce RTX 4090] [10de:2684] (rev a1)
	Flags: bus master, fast devsel, latency 0, IRQ 16, IOMMU group 13
0000:01:00.1 Audio device [0403]: NVIDIA Corporation AD102 High Definition Audio Controller [10de:22ba] (rev a1)
	Flags: fast devsel, IRQ 255, IOMMU group 13
`;
const quadlet = (...args: string[]) => runCli("gevulot-devnet", ["export", "quadlet", ...args], { cwd: dir });

describe("export quadlet", () => {
  test("writes a tree for the card of another machine, twice the same, and says what is next", async () => {
    writeFileSync(join(dir, "lspci.txt"), LSPCI);
    const args = ["--advertise", "node1.example:9999", "--gpu", "01:00.0", "--lspci", "lspci.txt"];
    const first = await quadlet("--out", "a", ...args);
    expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/Next: follow a\/INSTALL\.md\n$/) });
    const { stdout } = await quadlet("--out", "b", "--json", ...args);
    const { command, status, data } = JSON.parse(stdout);
    expect([command, status]).toEqual(["export quadlet", "ok"]);
    const files = (await readdir(join(dir, "a"), { recursive: true, withFileTypes: true })).filter((one) =>
      one.isFile(),
    );
    expect(data.files).toHaveLength(files.length);
    for (const path of data.files as string[]) {
      expect(readFileSync(join(dir, path), "utf8")).toBe(
        readFileSync(join(dir, path.replace(/^b/, "a")), "utf8"),
      );
    }
    expect(await quadlet("--out", "a", ...args)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("--force"),
    });
  });

  test.each([
    ["no address", ["--out", "x"], 2, /advertise/],
    ["an address without a port", ["--out", "x", "--advertise", "node1"], 2, /"node1" is no host:port/],
    [
      "a short image name",
      ["--out", "x", "--advertise", "a:1", "--image", "node"],
      2,
      /full name with its registry/,
    ],
    [
      "a slot that is empty",
      ["--out", "x", "--advertise", "a:1", "--gpu", "99:00.0"],
      1,
      /No device in the PCI slot/,
    ],
    [
      "no such file",
      ["--out", "x", "--advertise", "a:1", "--gpu", "1", "--lspci", "none"],
      1,
      /none: it does not exist/,
    ],
  ])("%s", async (_, args, code, message) => {
    expect(await quadlet(...args)).toMatchObject({ code, stderr: expect.stringMatching(message) });
  });
});

test("export compose writes one file, and says how it is started", async () => {
  const compose = (...args: string[]) =>
    runCli("gevulot-devnet", ["export", "compose", ...args], { cwd: dir });
  expect(await compose("--nodes", "2")).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("docker compose -f compose.yaml up --detach"),
  });
  expect(readFileSync(join(dir, "compose.yaml"), "utf8")).toContain("node1:");
  expect(await compose("--nodes", "0")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("1 to 50"),
  });
  expect(await compose()).toMatchObject({ code: 1, stderr: expect.stringContaining("--force") });
});
