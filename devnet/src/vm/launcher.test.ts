import { expect, test } from "vitest";
import { setprivArgs } from "./launcher.ts";

test.each([
  [{ runAs: null, noNewPrivileges: false }, "--pdeathsig KILL -- /bin/x -a"],
  [{ runAs: null, noNewPrivileges: true }, "--pdeathsig KILL --no-new-privs -- /bin/x -a"],
  [
    { runAs: { uid: 65534, gid: 65533, groups: [] }, noNewPrivileges: true },
    "--pdeathsig KILL --reuid 65534 --regid 65533 --clear-groups --no-new-privs -- /bin/x -a",
  ],
  [
    { runAs: { uid: 1, gid: 2, groups: [3, 4] }, noNewPrivileges: true },
    "--pdeathsig KILL --reuid 1 --regid 2 --groups 3,4 --no-new-privs -- /bin/x -a",
  ],
])("%j", (how, expected) => {
  expect(setprivArgs("/bin/x", ["-a"], how).join(" ")).toBe(expected);
});
