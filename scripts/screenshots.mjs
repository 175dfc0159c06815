#!/usr/bin/env node
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage, startDevnet } from "gevulot-devnet";
import { chromium } from "playwright-core";

/**
 * Makes the pictures of the explorer that the README shows, of a devnet that works: `node scripts/screenshots.mjs
 * [folder]`. Needs `npm run build` and Chromium.
 */
const root = fileURLToPath(new URL("..", import.meta.url));
const folder = process.argv[2] ?? join(root, "docs/images");
const scratch = await mkdtemp(join(tmpdir(), "screenshots-"));

const DESKTOP = { width: 1200, height: 780 };
const PHONE = { width: 390, height: 844 };
/** With factors, with large ones, and with none but itself. */
const NUMBERS = {
  small: ["91", "10403", "1018081", "999962000357"],
  slow: "1000000016000000063",
  prime: "104729",
};
const resources = { memMib: 512, cpus: 1 };

/** @param {string} name */
async function image(name) {
  const file = join(scratch, `${name}.img`);
  const program = join(root, `examples/factors/${name}.mjs`);
  await buildImage({ program, outputPath: file, manifest: { Mounts: { "%1": "/workspace" } } });
  return { file, name: `factors-${name}`, resources };
}

/** @param {import("gevulot-devnet").Devnet} net */
async function work(net) {
  const client = net.client();
  const [prover, verifier] = [await image("prover"), await image("verifier")];
  const programs = await client.deploy({ name: "factors", prover, verifier });
  /** @param {string} n */
  const prove = (n) =>
    client.run({
      steps: [
        { program: programs.prover.hash, args: [n] },
        {
          program: programs.verifier.hash,
          args: [n],
          inputs: [{ from: programs.prover.hash, output: "/workspace/factors.json" }],
        },
      ],
    });
  const failed = await prove(NUMBERS.prime);
  await failed.result().catch(() => {});
  let complete = failed;
  for (const n of NUMBERS.small) {
    complete = await prove(n);
    await complete.result({ minVerifications: 3 });
  }
  const running = await prove(NUMBERS.slow);
  return { failed: failed.hash, complete: complete.hash, running: running.hash };
}

/** @param {string} url @param {Awaited<ReturnType<typeof work>>} runs */
async function shoot(url, runs) {
  const browser = await chromium.launch({
    channel: undefined,
    executablePath: chromiumPath(),
    args: ["--no-sandbox"],
  });
  /** @type {[name: string, path: string, theme: "light" | "dark", size: typeof DESKTOP, isWhole: boolean][]} */
  const pictures = [
    ["explorer-overview", "/", "light", DESKTOP, false],
    ["explorer-run", `/runs/${runs.complete}`, "dark", { ...DESKTOP, height: 1180 }, false],
    ["explorer-failed", `/runs/${runs.failed}`, "light", DESKTOP, true],
    ["explorer-phone", `/runs/${runs.running}`, "light", PHONE, true],
    ["explorer-phone-overview", "/", "dark", PHONE, true],
  ];
  try {
    // The README's two; all of them where another folder was given.
    for (const [name, path, colorScheme, viewport, fullPage] of pictures.slice(
      0,
      process.argv[2] ? undefined : 2,
    )) {
      const page = await browser.newPage({ viewport, colorScheme, reducedMotion: "reduce" });
      await page.goto(url + path);
      await page.getByText("Live", { exact: true }).waitFor();
      await page.locator(".loading").waitFor({ state: "detached" });
      await page.waitForTimeout(500);
      await page.screenshot({ path: join(folder, `${name}.png`), fullPage });
      console.log(join(folder, `${name}.png`));
      await page.close();
    }
  } finally {
    await browser.close();
  }
}

function chromiumPath() {
  return process.env.CHROMIUM ?? "/usr/bin/chromium";
}

await mkdir(folder, { recursive: true });
const net = await startDevnet({ nodes: 3, provider: "process", memGb: 4, numCpus: 4, explorer: true });
try {
  await shoot(/** @type {string} */ (net.explorerUrl), await work(net));
} finally {
  await net.close();
  await rm(scratch, { recursive: true, force: true });
}
