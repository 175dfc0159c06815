import { existsSync, readdirSync } from "node:fs";
import { run } from "./run.mjs";
import { SetupStop } from "./steps.mjs";
import {
  installCommand,
  missingTools,
  readOsRelease,
  recogniseSystem,
  withMoreFolders,
} from "./systemTools.mjs";

/** This machine, as far as the set-up looks at it. */
const HERE = {
  searchPath: withMoreFolders(process.env.PATH ?? ""),
  platform: process.platform,
  osRelease: readOsRelease(),
  isRoot: process.getuid?.() === 0,
};

/**
 * Installs what is missing on Debian and Ubuntu (WSL2 too) as root; elsewhere says the command to run and stops.
 *
 * @param {string} root
 * @param {typeof HERE} machine
 */
export async function systemPackages(root, machine = HERE) {
  const look = () => missingTools(root, machine.searchPath);
  const missing = look();
  const there = { text: "QEMU, PostgreSQL and the image tools are there", did: false };
  if (missing.length === 0) return there;

  const system = recogniseSystem(machine.platform, machine.osRelease);
  if (system.manager !== "apt" || !machine.isRoot) {
    if (missing.some((tool) => !tool.isOptional)) throw stop(system, missing);
    return { ...there, text: `${there.text}; ${withoutText(missing)}` };
  }
  const packages = [];
  for (const { isOptional, packages: names } of missing) {
    // Not every system has each of those that only serve some tests.
    if (names.apt && (!isOptional || (await isInLists(names.apt)))) packages.push(names.apt);
  }
  if (packages.length === 0) return { ...there, text: `${there.text}; ${withoutText(missing)}` };
  console.log(`system packages  apt-get install ${packages.join(" ")}`);
  await aptInstall(packages);
  const still = look();
  if (still.some((tool) => !tool.isOptional)) throw stop(system, still);
  return { text: `installed ${packages.join(", ")}`, did: true };
}

/** @param {readonly import("./systemTools.mjs").Tool[]} missing */
function withoutText(missing) {
  return `without ${missing.flatMap((tool) => tool.programs).join(", ")}, some tests are skipped`;
}

/** Where nobody asked for the lists yet, it may be there. @param {string} name */
async function isInLists(name) {
  return !hasLists() || (await run(["apt-cache", "show", name])).code === 0;
}

/** What `apt-get` knows of, on a machine where nobody asked yet. Only root can. */
export async function ensureAptLists() {
  if (process.getuid?.() !== 0 || hasLists() || !existsSync("/usr/bin/apt-get")) return;
  await run(["apt-get", "update"], { env: { DEBIAN_FRONTEND: "noninteractive" } });
}

/** @param {readonly string[]} packages */
async function aptInstall(packages) {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const install = ["apt-get", "install", "-y", "--no-install-recommends", ...packages];
  let update = !hasLists();
  for (;;) {
    const updated = update ? await run(["apt-get", "update"], { env }) : undefined;
    const installed = await run(install, { env });
    if (installed.code === 0) return;
    if (update) {
      const output = `${updated?.code === 0 ? "" : updated?.output}\n${installed.output}`;
      throw new SetupStop(`apt-get install ${packages.join(" ")} failed. Its last words:\n${output.trim()}`);
    }
    // The lists may be older than what the mirror still has.
    update = true;
  }
}

function hasLists() {
  try {
    return readdirSync("/var/lib/apt/lists").some((name) => /_Packages/.test(name));
  } catch {
    return false;
  }
}

/**
 * @param {{ name: string, manager: import("./systemTools.mjs").Manager | undefined }} system
 * @param {readonly import("./systemTools.mjs").Tool[]} missing
 */
function stop(system, missing) {
  const list = missing.map((tool) => `  ${tool.programs.join(", ")} (${tool.why})`).join("\n");
  const command = installCommand(system.manager, missing);
  const advice = command
    ? `Run this, then this script again:\n\n  ${command}\n`
    : `${system.name} isn't known here: install these with its package manager, then run this script again.`;
  const foreign = system.manager === "brew" && missing.some((tool) => tool.packages.brew === undefined);
  const hint = foreign
    ? "\nHomebrew has no busybox for Linux guests: programs' images are built on Linux, or given ready-made.\n"
    : "";
  return new SetupStop(
    `On this machine (${system.name}) these programs are missing:\n${list}\n\n${advice}${hint}`,
  );
}
