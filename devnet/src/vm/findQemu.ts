import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { GevulotError } from "gevulot-sdk";
import { findExecutable } from "./findExecutable.ts";
import type { QemuVersion } from "./qemuArgs.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    QEMU_NOT_FOUND: { qemuPath: string; install: string };
    QEMU_UNUSABLE: { qemuPath: string; reason: string };
  }
}

export interface Qemu {
  /** Absolute. */
  readonly path: string;
  /** As QEMU prints it, e.g. `7.2.22`. */
  readonly versionText: string;
  readonly version: QemuVersion;
  /** Whether this build has the system call filter. */
  readonly sandbox: boolean;
}

const TIMEOUT_MS = 10_000;
/** The oldest with all that the runner asks for. */
const MIN_MAJOR = 6;

/** @throws GevulotError `QEMU_NOT_FOUND` says how to install it; `QEMU_UNUSABLE`: too old, or it does not start. */
export async function findQemu(options: {
  readonly qemuPath: string;
  readonly signal?: AbortSignal;
}): Promise<Qemu> {
  const { qemuPath } = options;
  const path = await findExecutable(qemuPath);
  if (path === null) {
    const osRelease = await readFile("/etc/os-release", "utf8").catch(() => "");
    throw notFound(qemuPath, qemuInstallCommand(process.platform, osRelease));
  }
  const ask = (...args: string[]) =>
    promisify(execFile)(path, args, {
      timeout: TIMEOUT_MS,
      ...(options.signal && { signal: options.signal }),
    });
  let text: string;
  try {
    text = (await ask("--version")).stdout;
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw qemuUnusable(
      qemuPath,
      `it does not start: ${(cause as Error).message.trim().split("\n").at(-1)}`,
      cause,
    );
  }
  const [, versionText, major, minor] = /version ((\d+)\.(\d+)[.\d]*)/.exec(text) ?? [];
  if (versionText === undefined) throw qemuUnusable(qemuPath, "it did not tell its version; is it QEMU?");
  if (Number(major) < MIN_MAJOR)
    throw qemuUnusable(qemuPath, `it is version ${versionText}; ${MIN_MAJOR}.0 or newer is needed`);
  const help = await ask("--help").then(
    ({ stdout }) => stdout,
    () => "",
  );
  return {
    path,
    versionText,
    version: { major: Number(major), minor: Number(minor) },
    sandbox: help.includes("-sandbox on"),
  };
}

/** What installs QEMU for x86-64 guests on this system. */
export function qemuInstallCommand(platform: NodeJS.Platform, osRelease: string): string {
  if (platform === "darwin") return "brew install qemu";
  if (platform === "win32") return "wsl --install, and then this program inside WSL2";
  const ids = [...osRelease.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap(([, value]) =>
    (value as string).split(" "),
  );
  const byId: Record<string, string> = {
    debian: "sudo apt-get install qemu-system-x86",
    ubuntu: "sudo apt-get install qemu-system-x86",
    fedora: "sudo dnf install qemu-system-x86-core",
    arch: "sudo pacman -S qemu-system-x86",
    alpine: "sudo apk add qemu-system-x86_64",
    suse: "sudo zypper install qemu-x86",
  };
  const known = ids.map((id) => byId[id]).find((command) => command !== undefined);
  return known ?? "your system's package of qemu-system-x86_64";
}

function notFound(qemuPath: string, install: string): GevulotError<"QEMU_NOT_FOUND"> {
  const message = `QEMU was not found (${qemuPath}). Install it: ${install}. If it is installed, give its path (--qemu-path).`;
  return new GevulotError("QEMU_NOT_FOUND", message, { context: { qemuPath, install } });
}

export function qemuUnusable(
  qemuPath: string,
  reason: string,
  cause?: unknown,
): GevulotError<"QEMU_UNUSABLE"> {
  const message = `QEMU (${qemuPath}) can't be used: ${reason}. Give the path of another one (--qemu-path).`;
  return new GevulotError("QEMU_UNUSABLE", message, { context: { qemuPath, reason }, cause });
}
