import { setMaxListeners } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Logger } from "pino";
import { parseHostPort } from "../../hostPort.ts";
import { listen } from "../../listen.ts";
import { ConnectionFault, createConnection } from "../connection/connection.ts";
import { HandshakeError, openConnection } from "../connection/openConnection.ts";
import type { PeerLimits } from "../peerLimits.ts";
import type { BannedPeer } from "../peerNetwork.ts";
import type { Greeting } from "../wire/greeting.ts";
import {
  formatAddress,
  isLoopback,
  isUnspecified,
  normalHost,
  type SocketAddress,
  seenAddress,
} from "../wire/socketAddress.ts";
import { type AddressBook, createAddressBook } from "./addressBook.ts";
import { type Bans, createBans, filesMark } from "./bans.ts";
import type { Introduce } from "./introduce.ts";
import type { Peer } from "./peer.ts";
import { createPeerTable, type PeerTable } from "./peerTable.ts";

/** A half-open connection that the system notices before our own pings do. */
const KEEP_ALIVE_MS = 30_000;

/** Connections to other nodes: listens, dials, and keeps one to each. */
export interface Mesh extends AsyncDisposable {
  readonly port: number;
  readonly table: PeerTable;
  /** Tries addresses whose time has come. */
  tick(): void;
  /** When that is worth it again; 0 while connections come about. */
  nextTickAtMs(): number;
  learn(address: SocketAddress, via: Peer): void;
  drop(peer: Peer, reason: string): void;
  ban(peer: Peer, reason: string): void;
  /** Lets go of peers that can't be reached any more, and dials these, which can. */
  recut(healed: readonly string[]): void;
  banFileServer(httpUrl: string, reason: string): void;
  banned(): readonly BannedPeer[];
}

export interface MeshDeps {
  readonly log: Logger;
  readonly now: () => number;
  /** What a side sends before anything else, and who is at the other. */
  readonly introduce: Introduce;
  /** Names also these, which are about to be peers. */
  readonly greeting: (arriving: readonly SocketAddress[]) => Greeting;
  readonly onJoined: (peer: Peer) => void;
  readonly onLeft: (peer: Peer) => void;
  readonly onMessage: (peer: Peer, message: Uint8Array) => Promise<void>;
  /** Peers that can't be reached, for tests; by where they listen. */
  readonly isCut?: ((address: string) => boolean) | undefined;
}

export interface MeshOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly discovery: readonly string[];
  readonly psk: Uint8Array;
  readonly protocolVersion: number;
  readonly limits: PeerLimits;
}

/** What the parts of a mesh share. */
interface MeshState {
  readonly deps: MeshDeps;
  readonly options: MeshOptions;
  readonly stop: AbortController;
  readonly table: PeerTable;
  readonly bans: Bans;
  readonly book: AddressBook;
  /** Not peers yet: those that this node dialled, and those that came, with where from. */
  readonly dialling: Set<Socket>;
  readonly coming: Map<Socket, string>;
  readonly arriving: Map<Socket, SocketAddress>;
  /** Static keys of connections that are being opened. */
  readonly ownStatics: Set<string>;
  readonly running: Set<Promise<void>>;
}

export async function createMesh(deps: MeshDeps, options: MeshOptions): Promise<Mesh> {
  const { limits } = options;
  const { now } = deps;
  const mesh: MeshState = {
    deps,
    options,
    stop: new AbortController(),
    table: createPeerTable(),
    bans: createBans(limits.banMs, now),
    book: createAddressBook({
      configured: options.discovery,
      maxAddresses: limits.maxAddresses,
      maxOfOneSource: Math.ceil(limits.maxAddresses / 8),
      minWaitMs: limits.redialMinMs,
      maxWaitMs: limits.redialMaxMs,
      attempts: limits.redialAttempts,
      random: Math.random,
    }),
    dialling: new Set(),
    coming: new Map(),
    arriving: new Map(),
    ownStatics: new Set(),
    running: new Set(),
  };
  // One for each connection that is being opened, both ways.
  setMaxListeners(2 * limits.maxHandshakes + 2, mesh.stop.signal);
  const server = createServer((socket) => {
    const ip = normalHost(socket.remoteAddress ?? "");
    if (ip === null || !mesh.bans.mayCome(ip)) return socket.destroy();
    mesh.coming.set(socket, ip);
    if (mesh.coming.size > limits.maxHandshakes) crowdedOut(mesh.coming)?.destroy();
    start(mesh, socket, null);
  });
  await listen(server, { ...options.listen, flag: "--p2p-listen-addr" });
  const { port } = server.address() as AddressInfo;
  const { table, book, dialling, coming } = mesh;

  return {
    port,
    table,
    learn: (address, via) => learn(mesh, address, via),
    drop: (peer, reason) => leave(mesh, peer, reason),
    ban: (peer, reason) => ban(mesh, peer, reason),
    recut(healed) {
      for (const peer of table.all()) if (deps.isCut?.(peer.info.address)) leave(mesh, peer, "it is cut off");
      const here = new Set(table.all().map(({ info }) => info.address));
      for (const address of healed) if (!here.has(address)) dial(mesh, address);
    },
    banFileServer: (httpUrl, reason) => banFileServer(mesh, httpUrl, reason),
    banned: mesh.bans.list,
    tick() {
      if (table.size >= limits.maxPeers) return;
      const room = limits.maxHandshakes - dialling.size;
      for (const address of book.due(now(), table.has, room)) dial(mesh, address);
    },
    nextTickAtMs: () => (dialling.size > 0 ? 0 : book.nextAtMs(table.has)),
    async [Symbol.asyncDispose]() {
      mesh.stop.abort();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of [...dialling, ...coming.keys()]) socket.destroy();
      for (const peer of table.all()) {
        table.remove(peer);
        peer.connection.close("flush");
        deps.onLeft(peer);
      }
      await Promise.all([closed, ...mesh.running]);
    },
  };
}

/** The oldest of the address from which most come: who holds many half-open keeps out nobody else. */
function crowdedOut(coming: ReadonlyMap<Socket, string>): Socket | undefined {
  const counts = new Map<string, number>();
  for (const ip of coming.values()) counts.set(ip, (counts.get(ip) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return [...coming].find(([, ip]) => counts.get(ip) === most)?.[0];
}

function learn({ book }: MeshState, address: SocketAddress, via: Peer): void {
  // Where this machine says "here" it means itself, not the machine that told it.
  const isTheirs = isLoopback(address.host) && !isLoopback(via.remoteIp);
  if (isUnspecified(address) || address.port === 0 || isTheirs) return;
  book.learn(formatAddress(address), via.identity);
}

function dial(mesh: MeshState, address: string): void {
  const { deps, options, book, dialling } = mesh;
  const target = parseHostPort(address);
  if (!target) return;
  if (deps.isCut?.(address)) return void book.failed(address, deps.now());
  const socket = connect({ ...target, timeout: options.limits.handshakeTimeoutMs });
  dialling.add(socket);
  const fail = (error: Error) => {
    dialling.delete(socket);
    socket.destroy();
    book.failed(address, deps.now());
    deps.log.debug({ address, reason: error.message }, "a peer can't be reached");
  };
  const late = () => fail(new Error("no connection in time"));
  socket.once("error", fail);
  socket.once("timeout", late);
  socket.once("connect", () => {
    socket.off("error", fail);
    socket.off("timeout", late);
    socket.setTimeout(0);
    start(mesh, socket, address);
  });
}

function start(mesh: MeshState, socket: Socket, dialled: string | null): void {
  const { running } = mesh;
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  // What ends it is told by whoever reads or waits.
  socket.on("error", () => {});
  const work = serve(mesh, socket, dialled)
    .catch((error: Error) => {
      socket.destroy();
      if (!mesh.stop.signal.aborted) noteFailure(mesh, dialled, error);
    })
    .finally(() => {
      running.delete(work);
      opened(mesh, socket);
    });
  running.add(work);
}

function opened({ dialling, coming, arriving }: MeshState, socket: Socket): void {
  dialling.delete(socket);
  coming.delete(socket);
  arriving.delete(socket);
}

/** From the handshake to the end of the connection. */
async function serve(mesh: MeshState, socket: Socket, dialled: string | null): Promise<void> {
  const { deps, table } = mesh;
  const remoteIp = normalHost(socket.remoteAddress ?? "") ?? "";
  const { peer, messages, remoteGreeting } = await meet(mesh, socket, dialled, remoteIp);
  const surplus = table.add(peer);
  opened(mesh, socket);
  // Their list helps even where the connection is one too many.
  for (const address of remoteGreeting.peers) learn(mesh, address, peer);
  const own = parseHostPort(peer.info.address);
  if (own) learn(mesh, own, peer);
  if (peer.isHere) mesh.book.claimed(peer.info.address, peer.identity);
  if (surplus === peer) {
    peer.connection.close("now");
    return;
  }
  if (surplus) retire(mesh, surplus, "another connection to the same peer is used");
  deps.log.info({ peer: peer.info.address, version: peer.info.protocolVersion }, "a peer is connected");
  deps.onJoined(peer);
  try {
    for await (const message of messages) {
      // What comes after our good-bye is read and dropped, so that the peer's own is seen.
      if (table.isListed(peer)) await deps.onMessage(peer, message);
    }
    leave(mesh, peer, "it closed the connection");
  } catch (error) {
    if (isFault(error)) ban(mesh, peer, (error as Error).message);
    else leave(mesh, peer, (error as Error).message);
  }
}

interface Met {
  readonly peer: Peer;
  readonly messages: AsyncGenerator<Uint8Array>;
  readonly remoteGreeting: Greeting;
}

/** The handshakes, and whether the peer is welcome. */
async function meet(mesh: MeshState, socket: Socket, dialled: string | null, remoteIp: string): Promise<Met> {
  const { deps, options, table, arriving } = mesh;
  const role = dialled === null ? "responder" : "initiator";
  const opened = await openConnection(socket, {
    role,
    psk: options.psk,
    protocolVersion: options.protocolVersion,
    // With those that are about to be peers: of two that come at once, one at least learns of the other.
    greeting: () => deps.greeting([...arriving.values()]),
    onGreeting: ({ listenAddress }) => arriving.set(socket, seenAddress(listenAddress, remoteIp)),
    timeoutMs: options.limits.handshakeTimeoutMs,
    ownStatics: mesh.ownStatics,
    signal: mesh.stop.signal,
  });
  const isModern = Math.min(opened.remoteVersion, options.protocolVersion) >= 2;
  const connection = createConnection(opened, isModern);
  const messages = connection.messages();
  const peer = await deps.introduce({ opened, connection, messages, isModern, role, dialled, remoteIp });
  if (dialled !== null) mesh.book.reached(dialled, peer.identity);
  const { httpUrl } = peer.info;
  if (deps.isCut?.(peer.info.address)) throw new HandshakeError("it is cut off");
  if (mesh.bans.has(httpUrl === null ? peer.marks : [...peer.marks, filesMark(httpUrl)]))
    throw new HandshakeError("banned for what it did before");
  if (!table.has(peer.identity) && !hasRoom(table, peer, options.limits)) {
    throw new HandshakeError("enough peers");
  }
  return { peer, messages, remoteGreeting: opened.remoteGreeting };
}

function hasRoom(table: PeerTable, peer: Peer, { maxPeers, dialledPeers }: PeerLimits): boolean {
  const came = table.list().filter(({ isOutbound }) => !isOutbound).length;
  return table.size < maxPeers && (peer.isOutbound || came < maxPeers - dialledPeers);
}

function leave(mesh: MeshState, peer: Peer, reason: string): void {
  const { table, book, deps } = mesh;
  if (!table.isListed(peer)) return;
  table.remove(peer);
  for (const address of new Set([peer.dialled, peer.info.address])) {
    if (address !== null) book.lost(address, deps.now());
  }
  retire(mesh, peer, reason);
}

function retire({ deps }: MeshState, peer: Peer, reason: string): void {
  peer.connection.close("now");
  deps.log.info({ peer: peer.info.address, reason }, "a peer is gone");
  deps.onLeft(peer);
}

function ban(mesh: MeshState, peer: Peer, reason: string, moreMarks: readonly string[] = []): void {
  const { deps, options } = mesh;
  const { address, isKeyProven, publicKey } = peer.info;
  const about = { address, publicKey: isKeyProven ? publicKey : null, reason };
  mesh.bans.add([...peer.marks, ...moreMarks], isLoopback(peer.remoteIp) ? null : peer.remoteIp, about);
  const seconds = options.limits.banMs / 1_000;
  deps.log.warn({ peer: peer.info.address, reason, seconds }, "a peer is banned");
  leave(mesh, peer, reason);
}

function banFileServer(mesh: MeshState, httpUrl: string, reason: string): void {
  for (const peer of mesh.table.all()) {
    if (peer.info.httpUrl === httpUrl) ban(mesh, peer, reason, [filesMark(httpUrl)]);
  }
}

/** What no honest node sends, where the sender is known; `BINCODE_INVALID` comes of what it sent, as nothing else is read. */
function isFault(error: unknown): boolean {
  return error instanceof ConnectionFault || (error as { code?: string }).code === "BINCODE_INVALID";
}

function noteFailure({ deps, book }: MeshState, dialled: string | null, error: Error): void {
  const isHandshake = error instanceof HandshakeError;
  if (dialled !== null && isHandshake && error.isSelf) {
    book.isSelf(dialled);
    return;
  }
  if (dialled !== null) book.failed(dialled, deps.now());
  deps.log[dialled !== null && isHandshake ? "warn" : "debug"](
    { address: dialled, reason: error.message },
    "a connection did not come about",
  );
}
