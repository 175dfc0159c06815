#!/usr/bin/env node
import { fileURLToPath } from "node:url";
import { build } from "./setup/build.mjs";
import { guestKernel } from "./setup/guestKernel.mjs";
import { npmPackages } from "./setup/npmPackages.mjs";
import { SetupStop, seconds, step } from "./setup/steps.mjs";
import { systemPackages } from "./setup/systemPackages.mjs";
import { vhostDeviceVsock } from "./setup/vhostDeviceVsock.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const OLDEST_NODE = [20, 19];

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    throw new SetupStop(
      `Node.js ${process.versions.node} is too old: ${OLDEST_NODE.join(".")} or newer is needed. ` +
        "Install one from https://nodejs.org or with your version manager.",
    );
  }
  if (process.platform === "win32") {
    throw new SetupStop(
      "Windows itself isn't supported. In WSL2 (Debian or Ubuntu) everything works as on Linux.",
    );
  }
  const untested =
    process.arch === "x64" ? "" : `; ${process.arch} is untested: the VMs are x86-64 and emulated`;
  return { text: `${process.versions.node}${untested}`, did: false };
}

/**
 * Makes a fresh clone on a fresh machine ready: npm packages, system packages, build, guest kernel, VSOCK. Does only what is
 * missing.
 *
 * @param {{ quiet?: boolean }} [options] quiet: says only what had to be done
 */
export async function setup(options = {}) {
  const began = performance.now();
  await step("Node.js", async () => checkNode(), options);
  await step("npm packages", () => npmPackages(root), options);
  await step("system packages", () => systemPackages(root), options);
  await step("build", () => build(root), options);
  await step("guest kernel", () => guestKernel(root), options);
  await step("VSOCK", () => vhostDeviceVsock(root), options);
  if (!options.quiet) console.log(`ready            (${seconds(performance.now() - began)})`);
}

/**
 * `setup` for a script: a problem that the reader can solve ends it with that text and exit code 1.
 *
 * @param {{ quiet?: boolean }} [options]
 */
export async function setupOrExit(options) {
  try {
    await setup(options);
  } catch (error) {
    if (!(error instanceof SetupStop)) throw error;
    console.error(`\n${error.message}`);
    process.exit(1);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setupOrExit({ quiet: process.argv.includes("--quiet") });
}
