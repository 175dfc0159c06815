import { readFile } from "node:fs/promises";
import { GevulotError } from "gevulot-sdk";
import { KERNEL_FLAGS } from "./kernelFlags.ts";
import { runTool } from "./runTool.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    BOOT_CODE_NOT_FOUND: { readonly searched: readonly string[] };
  }
}

/** What a BIOS starts: it looks for the active partition and starts that one's boot sector. */
const MAX_BOOT_CODE_BYTES = 440;

/** Debian and Ubuntu, Fedora, Arch. */
const BOOT_CODE_PATHS = [
  "/usr/lib/SYSLINUX/mbr.bin",
  "/usr/lib/syslinux/mbr/mbr.bin",
  "/usr/share/syslinux/mbr.bin",
  "/usr/lib/syslinux/bios/mbr.bin",
];
/** 1980-01-01 in seconds, the oldest date that FAT knows: no clock goes into an image. */
const DATE = "315532800";

/** How an image boots on its own: which disk is its own it finds out by looking. */
export const BOOT_CONFIG = [
  "DEFAULT gevulot",
  "PROMPT 0",
  "LABEL gevulot",
  "LINUX /vmlinuz",
  "INITRD /initrd",
  `APPEND ${KERNEL_FLAGS} gv.root=scan`,
  "",
].join("\n");

/**
 * The program for a disk's first sector, from the package syslinux.
 *
 * @throws GevulotError `BOOT_CODE_NOT_FOUND`
 */
export async function readBootCode(): Promise<Buffer> {
  for (const path of BOOT_CODE_PATHS) {
    const bytes = await readFile(path).catch(() => undefined);
    if (bytes && bytes.length > 0 && bytes.length <= MAX_BOOT_CODE_BYTES) return bytes;
  }
  throw new GevulotError(
    "BOOT_CODE_NOT_FOUND",
    `No boot code for a disk in ${BOOT_CODE_PATHS.join(", ")}. Install it: apt-get install syslinux.`,
    { context: { searched: BOOT_CODE_PATHS } },
  );
}

/**
 * Puts the boot loader into the FAT partition that begins at `offset` of a disk's file; as an ordinary user, without
 * mounting it. The files that are there stay where they are.
 *
 * @throws GevulotError `TOOL_NOT_FOUND`, `TOOL_FAILED`
 */
export async function installBootLoader(disk: string, offset: number, signal?: AbortSignal): Promise<void> {
  const options = { env: { SOURCE_DATE_EPOCH: DATE }, ...(signal ? { signal } : {}) };
  await runTool("syslinux", ["--install", "--offset", String(offset), disk], options);
}
