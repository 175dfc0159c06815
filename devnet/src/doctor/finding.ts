/** What was looked at, how it is, and what mends it. */
export interface Finding {
  readonly check: string;
  /** `warn`: it works less well, or not for everything; `fail`: no devnet runs here. */
  readonly state: "ok" | "warn" | "fail";
  readonly text: string;
  /** A command, or what to do; null where nothing is to be done. */
  readonly mend: string | null;
}

export const ok = (check: string, text: string): Finding => ({ check, state: "ok", text, mend: null });
export const warn = (check: string, text: string, mend: string): Finding => {
  return { check, state: "warn", text, mend };
};
export const fail = (check: string, text: string, mend: string): Finding => {
  return { check, state: "fail", text, mend };
};

/** Folders of the machine, so that others can stand for them. */
export interface MachineRoots {
  readonly sys: string;
  readonly proc: string;
  readonly dev: string;
  readonly etc: string;
}

export const MACHINE: MachineRoots = { sys: "/sys", proc: "/proc", dev: "/dev", etc: "/etc" };
