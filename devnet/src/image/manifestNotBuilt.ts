/** Keys that ops has and this builder has not, in lower case, with what to do instead. */
export const NOT_BUILT_KEYS: Readonly<Record<string, string>> = {
  klibs: "kernel modules of Nanos have no meaning for a Linux kernel; remove it",
  klibdir: "kernel modules of Nanos have no meaning for a Linux kernel; remove it",
  basevolumesz: "the disk is as large as what is in it; remove it",
  targetroot: "libraries are found on this machine; remove it",
  boot: "the boot loader of Nanos has no meaning here; remove it",
  kernel: "a manifest can't name the kernel; give --kernel and --modules",
  cloudconfig: "images are not sent to a cloud; remove it",
};

/** Flags of the root tuple that ops passes on. */
export const NOT_BUILT_ROOT_FLAGS: readonly string[] = [
  "debug_exit",
  "expected_exit_code",
  "reboot_on_exit",
  "idle_on_exit",
  "missing_files",
  "noaslr",
  "cwd",
  "syslog",
  "consoles",
];
