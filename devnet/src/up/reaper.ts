import { type ChildProcess, spawn } from "node:child_process";
import { startOf } from "../processTable.ts";

/** Cleans up after this process, should it be killed. Disposing of it says that there is nothing left to do. */
export interface Reaper extends AsyncDisposable {
  /** A process that leads a group of its own: the group is ended. */
  watch(pid: number): void;
  /** Where tasks work: programs that outlive the node which started them are killed. */
  watchWorkspaces(folder: string): void;
  /** A folder to remove. */
  removeLater(folder: string): void;
  readonly pid: number | undefined;
}

/**
 * Reads what is to be done from its owner, which says "." at an orderly end. Otherwise, at the end of the input,
 * processes are asked to end, as by Ctrl-C (PostgreSQL's fast stop), and one that hangs is killed. A process's number
 * may be another's by now: its start time tells.
 */
const SCRIPT = `
processes= folders= workspaces=
# Host programs carry the place of their workspace in their environment, VMs in their command line.
sweep() {
  echo "$workspaces" | while IFS= read -r folder; do
    if [ -z "$folder" ]; then continue; fi
    for file in $(grep -lsF "@$folder/" /proc/[0-9]*/environ /proc/[0-9]*/cmdline); do
      file=\${file#/proc/}
      kill -KILL "\${file%%/*}"
    done
  done 2>/dev/null
}
while IFS= read -r line; do
  case $line in
    "p "*) processes="$processes
\${line#p }" ;;
    "d "*) folders="$folders
\${line#d }" ;;
    "w "*) workspaces="$workspaces
\${line#w }" ;;
    .) sweep; exit 0 ;;
  esac
done
alive() {
  if [ -n "$2" ]; then
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=\${stat##*) }
    case $stat in Z*) return 1 ;; esac
    [ "$(echo "$stat" | cut -d ' ' -f 20)" = "$2" ]
  else
    kill -0 "$1" 2>/dev/null
  fi
}
each() {
  echo "$processes" | while read -r pid start; do
    if [ -n "$pid" ] && alive "$pid" "$start"; then echo "$pid"; fi
  done
}
for pid in $(each); do kill -CONT "$pid"; kill -INT "$pid"; done 2>/dev/null
rounds=0
while [ -n "$(each)" ] && [ $rounds -lt ROUNDS ]; do
  sleep 0.2
  rounds=$((rounds + 1))
done
for pid in $(each); do kill -KILL "-$pid"; done 2>/dev/null
sweep
echo "$folders" | while IFS= read -r folder; do
  if [ -n "$folder" ]; then rm -rf -- "$folder"; fi
done
`;
/** In fifths of a second: longer than a node or PostgreSQL takes to end. */
const ROUNDS = "60";

/**
 * A small shell that outlives this process: killed with SIGKILL we can't clean up ourselves. It is no child of our
 * process group, so that what ends the group leaves it; if it is killed itself, it is started again.
 */
export function createReaper(): Reaper {
  const lines: string[] = [];
  let isOver = false;
  let child: ChildProcess;
  const begin = (): void => {
    child = spawn("/bin/sh", ["-c", SCRIPT.replace("ROUNDS", ROUNDS), "gevulot-devnet-reaper"], {
      detached: true,
      cwd: "/",
      env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" },
      stdio: ["pipe", "ignore", "ignore"],
    });
    child.unref();
    child.once("error", () => {});
    // Its end shows as an exit.
    child.stdin?.on("error", () => {});
    (child.stdin as unknown as { unref(): void }).unref();
    child.once("exit", () => {
      if (!isOver) begin();
    });
    for (const line of lines) child.stdin?.write(line);
  };
  const say = (line: string): void => {
    lines.push(`${line}\n`);
    child.stdin?.write(`${line}\n`);
  };
  begin();
  return {
    watch: (pid) => {
      const start = startOf(pid);
      if (start !== null) say(`p ${pid} ${start}`);
    },
    watchWorkspaces: (folder) => say(`w ${folder}`),
    removeLater: (folder) => say(`d ${folder}`),
    get pid() {
      return child.pid;
    },
    async [Symbol.asyncDispose]() {
      if (isOver) return;
      isOver = true;
      const gone = new Promise<void>((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) resolve();
        else child.once("exit", () => resolve());
      });
      child.ref();
      child.stdin?.end(".\n");
      await gone;
    },
  };
}
