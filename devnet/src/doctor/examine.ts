import { DEFAULT_PORTS } from "../up/ports.ts";
import { checkGpus } from "./checkGpus.ts";
import {
  checkDisk,
  checkGuestKernel,
  checkImageTools,
  checkMemory,
  checkNode,
  checkPorts,
  checkPostgres,
  checkServices,
  DEFAULT_CACHE_DIR,
} from "./checkMachine.ts";
import { checkVms } from "./checkVms.ts";
import { type Finding, fail, MACHINE, type MachineRoots, warn } from "./finding.ts";

export interface ExamineOptions {
  readonly qemuPath: string;
  readonly stateDir: string;
  /** Slots; default all cards that compute. */
  readonly gpuDevices: readonly string[];
  readonly cacheDir?: string;
  readonly roots?: MachineRoots;
}

/** Looks at everything that a devnet, or a node, needs of its machine. What can't be looked at is a finding too. */
export async function examine(options: ExamineOptions): Promise<Finding[]> {
  const { roots = MACHINE, cacheDir = DEFAULT_CACHE_DIR, stateDir } = options;
  const checks: Readonly<Record<string, () => Finding | Promise<Finding | readonly Finding[]>>> = {
    "Node.js": () => checkNode(process.versions.node),
    user: () => checkUser(process.getuid?.() ?? -1),
    QEMU: () => checkVms(roots, options.qemuPath),
    "guest kernel": () => checkGuestKernel(cacheDir),
    "image tools": () => checkImageTools(),
    PostgreSQL: () => checkPostgres(cacheDir),
    ports: () => checkPorts(DEFAULT_PORTS),
    memory: () => checkMemory(roots),
    disk: () => checkDisk("the devnet", stateDir),
    GPU: () => checkGpus(roots, options.gpuDevices),
    services: () => checkServices(),
  };
  const found = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      try {
        return await check();
      } catch (error) {
        return fail(
          name,
          `could not be looked at: ${(error as Error).message}`,
          "Mend that, and look again.",
        );
      }
    }),
  );
  return found.flat();
}

function checkUser(uid: number): Finding {
  if (uid !== 0) return { check: "user", state: "ok", text: "not root", mend: null };
  const text =
    "root: PostgreSQL and QEMU run as other users, and a program's host process (--provider process) as root.";
  return warn("user", text, "Run it as a user of its own, in the group kvm.");
}
