import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { buildImage, type Devnet, startDevnet } from "gevulot-devnet";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createExplorer } from "../../devnet/src/explorer/explorerServer.ts";
import { PAGE_FOLDER } from "../../devnet/src/explorer/pageAssets.ts";
import { axeViolations, DESKTOP, findChromium, openBrowser, PHONE, watchPage } from "../fixtures/browser.ts";
import { binPath } from "../fixtures/cli.ts";
import { deployBoth } from "../fixtures/network.ts";
import { root } from "../tidy/sources.ts";

const MAX_FIRST_VIEW_BYTES = 100_000;
const TIMEOUT_MS = 60_000;
const HOSTILE = "<img src=x onerror=alert(1)>\u001b[31m\u202e</pre><script>alert(2)</script>";

const dir = mkdtempSync(join(tmpdir(), "explorer-"));
const chromium = findChromium();
let net: Devnet;
let url: string;
let browser: Browser | undefined;
let programs: { prover: string; verifier: string };
let page: Page;
let problems: string[];

beforeAll(async () => {
  await promisify(execFile)(process.execPath, [join(root, "devnet/explorer/build.mjs")]);
  const image = join(dir, "program.img");
  const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
  await buildImage({ program, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
  net = await startDevnet({ nodes: 3, provider: "process", memGb: 4, numCpus: 8, explorer: true });
  url = net.explorerUrl as string;
  if (chromium === null) return;
  browser = await openBrowser(chromium);
  await open("/");
  await page.getByText("No programs are deployed yet.").waitFor();
  await page.getByText("All 3 nodes are connected to each other.").waitFor();
  programs = await deployBoth(net, image);
  // Nothing was loaded anew.
  await page.getByRole("link", { name: "verifier" }).waitFor({ timeout: TIMEOUT_MS });
  await page.close();
});
afterAll(async () => {
  await browser?.close();
  await net?.close();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach((context) => {
  if (chromium === null) context.skip("needs Chromium (Debian: apt-get install chromium)");
});
afterEach(async () => {
  if (page !== undefined && !page.isClosed()) await page.close();
});

async function open(path: string, look: object = {}): Promise<void> {
  const options = {
    viewport: DESKTOP,
    colorScheme: "light" as const,
    reducedMotion: "reduce" as const,
    ...look,
  };
  page = await (browser as Browser).newPage(options);
  page.setDefaultTimeout(TIMEOUT_MS);
  problems = watchPage(page, url);
  await page.goto(url + path);
}

const run = (args: string[], passOn = args[0] === "ok") =>
  net.client().run({
    steps: [
      {
        program: programs.prover,
        args,
        inputs: [{ data: new Uint8Array([7]), vmPath: "/workspace/in.bin" }],
      },
      {
        program: programs.verifier,
        args: ["ok"],
        inputs: passOn ? [{ from: programs.prover, output: "/workspace/out.txt" }] : [],
      },
    ],
  });
const badge = (state: string) => page.locator("h1 .badge", { hasText: state });

test("the first view is small", async () => {
  const html = await readFile(join(PAGE_FOLDER, "index.html"), "utf8");
  const names = [...html.matchAll(/\/assets\/([^"]+)/g)].map((match) => match[1] as string);
  expect(names).toHaveLength(3);
  const sizes = await Promise.all(
    names.map(async (name) => gzipSync(await readFile(join(PAGE_FOLDER, name))).length),
  );
  const total = sizes.reduce((sum, size) => sum + size, gzipSync(html).length);
  console.log(`first view: ${total} bytes compressed`);
  expect(total).toBeLessThan(MAX_FIRST_VIEW_BYTES);
});

test("it is served for nodes elsewhere, too", async () => {
  const node = net.nodes[1] ?? net.nodes[0];
  const child = spawn(
    process.execPath,
    [binPath("gevulot-devnet"), "explorer", "--json", "--node", node.rpcUrl],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const { command, status, data } = JSON.parse(line.toString());
    expect([command, status]).toEqual(["explorer", "ok"]);
    expect(await (await fetch(`${data.url}/api/programs`)).json()).toMatchObject({ from: "node" });
  } finally {
    child.kill("SIGTERM");
  }
  expect((await once(child, "exit"))[0]).toBe(0);
});

describe("live", () => {
  test("a Run from its beginning to its end, without reloading: list, stages, console, tree, files", async () => {
    await open("/");
    const go = join(dir, "go");
    const sent = await run(["until", go]);
    const row = page.getByRole("row").filter({ has: page.getByTitle(sent.hash) });
    await row.waitFor();
    await page.getByText("1 task running").first().waitFor();
    await page.getByText("64 MiB of 4 GiB").first().waitFor();
    await row.getByRole("link", { name: sent.hash.slice(0, 8) }).click();
    await badge("proving").waitFor();
    expect(await page.evaluate("document.activeElement?.tagName")).toBe("H1");
    expect(await page.title()).toContain(sent.hash.slice(0, 8));
    const console = page.getByRole("region", { name: /^Console of the proof by node\d$/ });
    await console.getByText("mode until").waitFor();
    await writeFile(go, "");
    await badge("complete").waitFor();
    await sent.result({ minVerifications: 3 });
    const tree = page.getByRole("list", { name: "Proofs of this Run, with their Verifications" });
    await expect
      .poll(() => tree.getByText("Verification", { exact: true }).count(), { timeout: TIMEOUT_MS })
      .toBe(3);
    expect(await tree.getByText("Proof", { exact: true }).count()).toBe(1);
    await expect.poll(() => page.locator(".timeline-row").count()).toBeGreaterThan(6);
    await page.goBack();
    await row.getByText("complete").waitFor();
    expect(problems).toEqual([]);
  });

  test("files and proofs are downloaded as they are", async () => {
    const sent = await run(["ok", "a", "b"]);
    await sent.result();
    await open(`/runs/${sent.hash}`);
    const download = async (link: ReturnType<Page["getByRole"]>) => {
      const [file] = await Promise.all([page.waitForEvent("download"), link.first().click()]);
      return readFile(await file.path(), "utf8");
    };
    expect(await download(page.getByRole("link", { name: "/workspace/out.txt" }))).toBe("a,b");
    expect(await download(page.getByRole("link", { name: "/workspace/in.bin" }))).toBe("\u0007");
    expect(await download(page.locator(".tree").getByRole("link", { name: "8 bytes" }))).toBe("done a,b");
    expect(problems).toEqual([]);
  });

  test("a node that is killed is away, and why; one that comes back is up", async () => {
    await open("/");
    const card = page.getByRole("article", { name: "node2" });
    await card.getByText("up", { exact: true }).waitFor();
    await net.nodes[2]?.kill("SIGKILL");
    await card.getByText("away", { exact: true }).waitFor();
    await card.getByText(/does not answer: ECONNREFUSED/).waitFor();
    await page.getByText(/Away: node2/).waitFor();
    await net.nodes[2]?.start();
    await card.getByText("up", { exact: true }).waitFor();
    await page.getByText("All 3 nodes are connected to each other.").waitFor();
  });

  test("a page that is cut off says so, and goes on by itself", async () => {
    const nodes = net.nodes.map(({ name, rpcUrl }) => ({ name, rpcUrl }));
    const first = await createExplorer(nodes);
    await open("/");
    await page.goto(first.url);
    await page.getByText("Live", { exact: true }).waitFor();
    await first[Symbol.asyncDispose]();
    await page.getByText("Cut off from the devnet").waitFor();
    await using _second = await createExplorer(nodes, { port: first.port });
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByText("Cut off from the devnet").waitFor({ state: "detached" });
  });
});

describe("a Run that failed", () => {
  test("says why and what to do; what its program wrote is text, whatever it is", async () => {
    const sent = await run([HOSTILE], false);
    await expect(sent.result()).rejects.toMatchObject({ code: "TASK_FAILED" });
    await open(`/runs/${sent.hash}`);
    const why = page.getByRole("region", { name: "Why it failed" });
    await why.getByText("PROGRAM_FAILED").waitFor();
    await why.getByText("What to do.").waitFor();
    const shown = HOSTILE.replace("\u001b[31m", "").replace("\u202e", "");
    await why.getByText(`unknown mode ${shown}`).first().waitFor();
    await page
      .getByRole("button", { name: /^Console of the proof/ })
      .first()
      .click();
    const console = page.getByRole("region", { name: /^Console of the proof/ });
    await console.getByText(`mode ${shown}`).first().waitFor();
    expect(await page.locator("img, script:not([src])").count()).toBe(0);
    expect(problems).toEqual([]);
  });
});

describe("finding the way", () => {
  test("by a hash or its beginning", async () => {
    const sent = await run(["ok"]);
    const { proofs } = await sent.result();
    const proof = proofs[0]?.hash as string;
    await open("/");
    const search = page.getByRole("searchbox", { name: "Search by hash or its beginning" });
    await search.fill(`0x${sent.hash.slice(0, 20).toUpperCase()}`);
    await search.press("Enter");
    await page.waitForURL(`${url}/runs/${sent.hash}`);
    await search.fill(proof.slice(0, 12));
    await search.press("Enter");
    await page.waitForURL(`${url}/runs/${sent.hash}#${proof}`);
    await search.fill(programs.prover);
    await search.press("Enter");
    await page.waitForURL(`${url}/programs/${programs.prover}`);
    await page
      .getByRole("row")
      .filter({ has: page.getByTitle(sent.hash) })
      .waitFor();
    await search.fill("dead".repeat(10));
    await search.press("Enter");
    await page.getByText("No node knows a hash that begins so.").waitFor();
    await search.fill("hello");
    await search.press("Enter");
    await page.getByText("That is no hash.").waitFor();
  });

  test("by keyboard alone", async () => {
    await open("/");
    await page.getByText("Live", { exact: true }).waitFor();
    const focused = () => page.evaluate<string>("document.activeElement?.textContent ?? ''");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Skip to the content");
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement?.id")).toBe("main");
    await page.keyboard.press("Shift+Tab");
    for (const name of ["Programs", "Runs"]) {
      const link = page.getByRole("navigation", { name: "Main" }).getByRole("link", { name });
      await link.focus();
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { level: 1, name }).waitFor();
      expect(await focused()).toBe(name);
    }
    await page.getByRole("link", { name: "failed" }).focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(`${url}/runs?state=failed`);
  });

  test("long lists come in pages", async () => {
    await open(`/programs/${programs.prover}?limit=1`);
    const rows = page.getByRole("rowheader");
    await rows.first().waitFor();
    expect(await rows.count()).toBeLessThanOrEqual(15);
    await page.goto(`${url}/runs?state=complete`);
    await rows.first().waitFor();
    const newest = await rows.first().textContent();
    await page.goto(`${url}/runs?before=${new Date(Date.now() - 1).toISOString()}`);
    await page.getByRole("link", { name: "Newest" }).click();
    await page.waitForURL(`${url}/runs`);
    await rows.first().waitFor();
    expect(newest).toBeTruthy();
  });
});

describe("for everybody", () => {
  const paths: [string, () => Promise<string>][] = [
    ["overview", async () => "/"],
    ["Runs", async () => "/runs"],
    ["a Run", async () => `/runs/${await newest("complete")}`],
    ["a failed Run", async () => `/runs/${await newest("failed")}`],
    ["programs", async () => "/programs"],
    ["a program", async () => `/programs/${programs.prover}`],
    ["a search", async () => "/search?q=dead"],
  ];
  async function newest(state: "complete" | "failed"): Promise<string> {
    return (await net.client().listRuns({ state, limit: 1 })).items[0]?.run as string;
  }

  // Both themes and both sizes; a colour does not depend on the size.
  const looks = [
    [DESKTOP, "light"],
    [PHONE, "dark"],
  ] as const;

  test.each(paths)("%s: nothing that axe finds, on desktop and phone, light and dark", async (_, pathOf) => {
    await open(await pathOf());
    await page.getByText("Live", { exact: true }).waitFor();
    const found: string[] = [];
    for (const [viewport, colorScheme] of looks) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await page.locator(".loading").waitFor({ state: "detached" });
      found.push(...(await axeViolations(page)).map((each) => `${colorScheme}: ${each}`));
      const overflow = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
      if (overflow > 0) found.push(`${viewport.width}: ${overflow} px wider than the window`);
    }
    expect(found).toEqual([]);
    expect(problems).toEqual([]);
  });
});
