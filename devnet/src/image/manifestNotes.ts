import type { Manifest } from "./manifest.ts";
import { nearestName } from "./nearestName.ts";
import { resourcesText } from "./runConfig.ts";

/** What a Linux image makes of a manifest beyond its program. */
export interface ManifestNotes {
  /** Was accepted and does nothing that its author may count on. */
  readonly warnings: readonly string[];
  /** Worth knowing; nothing is lost. */
  readonly notes: readonly string[];
}

const OF_NANOS = "means nothing for a Linux image; for Nanos give --format nanos";
/** Flags of the root tuple that ops passes on, with what they come to under Linux; null where they work. */
const ROOT_FLAGS: Readonly<Record<string, string | null>> = {
  readonly_rootfs: null,
  cwd: null,
  debug_exit: "is not needed: the program's exit code reaches the node anyway",
  expected_exit_code: "means nothing here: a task succeeds with exit code 0",
  reboot_on_exit: "means nothing here: a program that fails ends its task",
  idle_on_exit: "means nothing here: a task ends with its program",
  missing_files: "means nothing here: `image check` lists the files that a program misses",
  noaslr: "means nothing here: Linux chooses addresses at random",
  syslog: "means nothing here: the console is kept with the task",
  consoles: "means nothing here: the console is the serial port, and it is kept with the task",
};

export function linuxNotes(manifest: Manifest): ManifestNotes {
  return {
    warnings: [
      ...(manifest.klibs.length > 0
        ? ["Klibs names kernel modules of Nanos; a GPU's module for Linux is found by `image check --gpu`."]
        : []),
      ...(["klibDir", "boot", "kernel", "nanosVersion"] as const)
        .filter((key) => manifest[key] !== undefined)
        .map((key) => `${key[0]?.toUpperCase()}${key.slice(1)} ${OF_NANOS}.`),
      ...(manifest.baseVolumeSize === undefined
        ? []
        : [
            "BaseVolumeSz means nothing here: what a program writes goes to memory, its workspace or a volume.",
          ]),
      ...(manifest.cloudConfig ? ["CloudConfig means nothing here: images are not sent to a cloud."] : []),
      ...(manifest.nameServers.length > 0
        ? ["NameServers means nothing here: a program's machine has no network."]
        : []),
      ...Object.keys(manifest.passthrough).flatMap(flagWarning),
    ],
    notes: [
      ...(manifest.rebootOnExit
        ? ["RebootOnExit means nothing for a task: a program that fails ends its task."]
        : []),
      ...resourceNote(manifest),
      ...deadlineNote(manifest),
      ...(manifest.runConfig.ignored.length > 0
        ? [
            `RunConfig: only Memory, CPUs, GPUs, DeadlineSeconds and ImageName count, not ${manifest.runConfig.ignored.join(", ")}.`,
          ]
        : []),
    ],
  };
}

function flagWarning(flag: string): string[] {
  const known = ROOT_FLAGS[flag];
  if (known === null) return [];
  if (known !== undefined) return [`ManifestPassthrough.${flag} ${known}.`];
  const near = nearestName(flag, Object.keys(ROOT_FLAGS));
  return [`ManifestPassthrough.${flag} is not known${near === undefined ? "" : `; did you mean ${near}?`}`];
}

export function resourceNote({ runConfig }: Manifest): string[] {
  const text = resourcesText(runConfig.resources);
  return text === "" ? [] : [`RunConfig: ${text}, unless the deployment says otherwise.`];
}

export function deadlineNote({ runConfig: { deadlineSeconds } }: Manifest): string[] {
  if (deadlineSeconds === undefined) return [];
  return [`RunConfig: a task ends after ${deadlineSeconds} s, or sooner where a node allows less.`];
}
