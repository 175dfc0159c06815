/**
 * The guest kernel's command line, but for where the root file system is. What `mitigations=off` gives up is the
 * protection of the guest's kernel from its one program: they have the same rights anyway.
 */
export const KERNEL_FLAGS = [
  "console=ttyS0",
  "quiet",
  "panic=-1",
  "tsc=reliable",
  "no_timer_check",
  "cryptomgr.notests",
  "audit=0",
  "noreplace-smp",
  "mitigations=off",
  "random.trust_cpu=on",
].join(" ");
