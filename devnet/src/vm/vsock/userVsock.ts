import { randomBytes } from "node:crypto";
import { chown, lstat, mkdir, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { TASK_PORT } from "gevulot-shim/wire";
import { ownerMark, removeAbandonedFolders } from "../../abandonedFolders.ts";
import { createStack, type DisposeStack } from "../../disposeStack.ts";
import { openForChild } from "../inheritedFiles.ts";
import type { Launcher, RunAs } from "../launcher.ts";
import { type ProcessGroup, startProcessGroup } from "../processGroup.ts";
import { createRingBuffer } from "../ringBuffer.ts";
import { RUN_MARK_VARIABLE } from "../runMark.ts";
import type { VsockDevice, VsockHost, VsockOpenOptions } from "./vsockHost.ts";

export interface UserVsockOptions {
  /** rust-vmm's vhost-device-vsock. */
  readonly binary: string;
  readonly launcher: Launcher;
  /** QEMU's user, who must reach the sockets. */
  readonly runAs: RunAs | null;
}

/** Each VM has a process of its own, so that one number serves all. */
const GUEST_CID = 4;
const FOLDER = "gv-vsock-";
/** Far more than it takes: a busy machine must not cost a program its task. */
const START_TIMEOUT_MS = 60_000;
/** A node waits for it when it starts. */
const TRIAL_TIMEOUT_MS = 15_000;
const POLL_MS = 5;
const STDERR_BYTES = 2_048;
const BINARY_FD = 3;

/**
 * VSOCK without a device of the kernel: a process of rust-vmm's vhost-device-vsock beside each VM hands the guest's
 * connections to a socket in a folder, and ends with its VM.
 *
 * @throws Error where that program does not work here
 */
export async function createUserVsock(options: UserVsockOptions): Promise<VsockHost> {
  await removeStaleSockets();
  const folder = join(tmpdir(), `${FOLDER}${ownerMark()}-${randomBytes(4).toString("hex")}`);
  // Its name is all that others need to pass through; what is in it they can't list.
  await mkdir(folder, { mode: 0o711 });
  await using stack = createStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const open = (how: VsockOpenOptions, limitMs = START_TIMEOUT_MS) =>
    openDevice(options, folder, how, limitMs);
  // Whether it starts here, as that user, in that folder, is best told by trying.
  const server = {
    accept: (connection: { destroy(): unknown }) => void connection.destroy(),
    [Symbol.dispose]() {},
  };
  await (await open({ server, mark: "" }, TRIAL_TIMEOUT_MS))[Symbol.asyncDispose]();
  const running = stack.move();
  return {
    kind: "vhost-device-vsock",
    detail: options.binary,
    open: (how) => open(how),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

async function openDevice(
  { binary, launcher, runAs }: UserVsockOptions,
  parent: string,
  { server, mark, signal }: VsockOpenOptions,
  limitMs: number,
): Promise<VsockDevice> {
  await using stack = createStack();
  const folder = join(parent, randomBytes(8).toString("hex"));
  await mkdir(folder, { mode: 0o700 });
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  if (runAs !== null) await chown(folder, runAs.uid, runAs.gid);
  const [socketPath, guestPath] = [join(folder, "vhost"), join(folder, "vm")];
  const listenPath = `${guestPath}_${TASK_PORT}`;
  await listen(stack, listenPath, (connection) => server.accept(connection));
  if (runAs !== null) await chown(listenPath, runAs.uid, runAs.gid);

  // Opened here: the folders above it (somebody's home) may be closed to that user.
  await using program = await openForChild([binary], BINARY_FD);
  const path = runAs === null ? binary : (program.paths[0] as string);
  const args = ["--guest-cid", String(GUEST_CID), "--socket", socketPath, "--uds-path", guestPath];
  const [command, all] = launcher.wrap(path, args, { runAs, noNewPrivileges: true });
  const group = await startProcessGroup(command, all, {
    stdio: ["ignore", "ignore", "pipe", ...program.fds],
    env: mark === "" ? {} : { [RUN_MARK_VARIABLE]: mark },
    cwd: folder,
  });
  stack.defer(() => group.stop());
  await untilListening(group, socketPath, limitMs, signal);
  const running = stack.move();
  return {
    device: { kind: "vhost-user", socketPath },
    pid: group.pid,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

async function listen(
  stack: DisposeStack,
  path: string,
  onConnection: (socket: Socket) => void,
): Promise<void> {
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    onConnection(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  stack.defer(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  );
}

async function untilListening(
  group: ProcessGroup,
  socketPath: string,
  limitMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stderr = createRingBuffer(STDERR_BYTES);
  group.child.stderr?.on("data", (chunk: Buffer) => stderr.write(chunk));
  let isGone = false;
  group.ended.then(() => {
    isGone = true;
  });
  const deadline = Date.now() + limitMs;
  while (!(await isThere(socketPath))) {
    const said = stderr.read().toString("utf8").trim();
    if (isGone) throw new Error(`vhost-device-vsock ended at once: ${said || "it says nothing"}`);
    if (Date.now() > deadline)
      throw new Error(`vhost-device-vsock does not listen after ${limitMs / 1000} s`);
    await delay(POLL_MS, undefined, { ...(signal ? { signal } : {}) });
  }
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Removes the folders of nodes that were killed. */
export function removeStaleSockets(): Promise<void> {
  return removeAbandonedFolders(tmpdir(), FOLDER);
}
