import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { isGevulotError } from "gevulot-sdk";
import { closeServer, listen } from "../../listen.ts";
import { callerOf, MAX_CLOCK_SECONDS } from "../admit/callSignature.ts";
import { refusalOfContent, refusalOfSegSize } from "../admit/refusal.ts";
import type { NodePool } from "../nodes/nodePool.ts";
import { estimateRest } from "../plan/estimate.ts";
import { listRuns, listTasks, readUsualSeconds } from "../store/runLists.ts";
import { findRun, type PipelineRun } from "../store/runs.ts";
import { RUN_STATUS } from "../store/statuses.ts";
import { isUser } from "../store/users.ts";
import type { Certificate } from "../wire/credentials.ts";
import { createHttpServer } from "../wire/httpServer.ts";
import { listenAt } from "../wire/listenAt.ts";
import { missingBlobs, parseSubmitBody, toProofRequest } from "./submitBody.ts";
import { type TakeRunDeps, type TakeRunOptions, takeRun } from "./takeRun.ts";

export interface RunApiDeps extends TakeRunDeps {
  readonly pool: NodePool;
}

export interface RunApiPlace {
  /** `host:port`. */
  readonly addr: string;
  /** Null for plain HTTP. */
  readonly certificate: Certificate | null;
}

/** An answer: JSON, or data by its SHA-256. */
type Reply = { readonly status: number; readonly json: unknown } | { readonly blob: string };

interface Call {
  readonly address: string;
  readonly body: Buffer;
  readonly query: URLSearchParams;
}

const MAX_BODY_BYTES = 2 ** 20;
/** What gRPC takes at once. */
const MAX_BLOB_BYTES = 2 ** 30;
const MAX_LIMIT = 200;
const DEFAULT_LIMIT = 50;
const NO_BYTES = createHash("sha256").digest("hex");
const BLOB = /^\/v1\/blobs\/([0-9a-f]{64})$/;
const RUN = /^\/v1\/runs\/([^/]+)(?:\/(cancel|retry))?$/;

/** What the existing service lacks: lists, tasks, cancel, retry. Each call is signed by a user (docs/pipeline.md). */
export async function createRunApi(
  deps: RunApiDeps,
  options: TakeRunOptions,
  { addr, certificate }: RunApiPlace,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createHttpServer(certificate, (request, response) => {
    answer(deps, options, request, response).catch((error: Error) => {
      if (response.headersSent) response.destroy();
      // It is away for a while: who waits for a run goes on.
      else if (isGevulotError(error, "DATABASE_UNREACHABLE")) send(response, 503, { error: error.message });
      else if (isGevulotError(error)) send(response, 400, { error: error.message });
      else {
        deps.log.error({ reason: error.message }, "a call of the API failed");
        send(response, 500, { error: error.message });
      }
    });
  });
  await listen(server, listenAt(addr, "api_addr"));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

async function answer(
  deps: RunApiDeps,
  options: TakeRunOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = "GET", url: path = "/" } = request;
  const url = URL.canParse(path, "http://stage") ? new URL(path, "http://stage") : null;
  if (!url) return send(response, 400, { error: `${path} is no path: see docs/pipeline.md for the calls` });
  const put = method === "PUT" ? BLOB.exec(url.pathname)?.[1] : undefined;
  const body = put ? Buffer.alloc(0) : await readBody(request);
  if (!body)
    return send(response, 413, {
      error: `the body is longer than ${MAX_BODY_BYTES} bytes: put data as blobs`,
    });
  const bodyHash = put ?? (body.length === 0 ? NO_BYTES : createHash("sha256").update(body).digest("hex"));
  const caller = callerOf(request.headers.authorization, { method, path, bodyHash }, Date.now() / 1_000);
  if (!caller) {
    const error = `the call is not signed, or its time is more than ${MAX_CLOCK_SECONDS} s off: check the key and the clock`;
    return send(response, 401, { error });
  }
  if (!(await isUser(deps.database, caller))) {
    const error = `${caller} may not use this stage: have it added with 'gevulot-devnet pipeline user add ${caller}'`;
    return send(response, 403, { error });
  }
  if (put) return putBlob(deps, request, response, put);
  const reply = await route(deps, options, method, url.pathname, {
    address: caller,
    body,
    query: url.searchParams,
  });
  if ("json" in reply) return send(response, reply.status, reply.json);
  const size = await deps.blobs.size(reply.blob);
  if (size === null) return send(response, 404, { error: "there is no such data here" });
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": size });
  await pipeline(deps.blobs.read(reply.blob), response);
}

async function putBlob(
  { blobs }: RunApiDeps,
  request: IncomingMessage,
  response: ServerResponse,
  hash: string,
): Promise<void> {
  let isTooLong = Number(request.headers["content-length"] ?? 0) > MAX_BLOB_BYTES;
  const limited = (async function* () {
    let bytes = 0;
    for await (const piece of request as AsyncIterable<Buffer>) {
      bytes += piece.length;
      isTooLong = bytes > MAX_BLOB_BYTES;
      // What came so far is not the data that was announced, and is dropped.
      if (isTooLong) return;
      yield piece;
    }
  })();
  try {
    if (!isTooLong)
      return send(response, 201, { sha256: hash, bytes: (await blobs.put(limited, hash)).bytes });
  } catch (error) {
    if (!isTooLong) throw error;
  }
  send(response, 413, { error: `data may have at most ${MAX_BLOB_BYTES} bytes` });
}

async function route(
  deps: RunApiDeps,
  options: TakeRunOptions,
  method: string,
  path: string,
  call: Call,
): Promise<Reply> {
  const blob = BLOB.exec(path)?.[1];
  if (method === "GET" && blob) return { blob };
  if (method === "POST" && path === "/v1/runs") return submit(deps, options, call);
  if (method === "GET" && path === "/v1/runs") return list(deps, call);
  const [, id, action] = RUN.exec(path) ?? [];
  const proofId = decode(id ?? "");
  const run = proofId === null ? null : await findRun(deps.database, proofId);
  // Another user's run is as if it were not there.
  const isOwn = run?.address.toLowerCase() === call.address.toLowerCase();
  if (!run || !isOwn)
    return { status: 404, json: { error: `there is no run ${id ?? path} of ${call.address} here` } };
  if (method === "GET" && action === undefined) return { status: 200, json: await describe(deps, run) };
  if (method !== "POST" || action === undefined)
    return { status: 405, json: { error: "GET, or POST cancel or retry" } };
  const isDone =
    action === "cancel"
      ? await deps.driver.end(run.id, RUN_STATUS.INTERNAL_ERROR, `cancelled by ${call.address}`)
      : await deps.driver.retry(run.id);
  if (isDone) return { status: 200, json: summary((await findRun(deps.database, run.id))!) };
  return { status: 409, json: { error: await whyNot(deps, run, action) } };
}

async function whyNot({ database }: RunApiDeps, run: PipelineRun, action: string): Promise<string> {
  if (action === "cancel") return "the run is over already";
  if (run.finishedAt && (await listTasks(database, run.id)).length === 0)
    return "the run's data was never put in place: submit it again, with another proof_id";
  return "the run goes on, or succeeded: there is nothing to retry";
}

async function submit(
  deps: RunApiDeps,
  options: TakeRunOptions,
  { address, body: bytes }: Call,
): Promise<Reply> {
  const wrong = (error: string, status = 400): Reply => ({ status, json: { error } });
  const parsed = parseSubmitBody(parseJson(bytes));
  if (parsed.kind === "wrong") return wrong(`${parsed.reason}: mend it and submit again`);
  const { body } = parsed;
  const missing = await missingBlobs(deps.blobs, body);
  if (missing.length > 0) return { status: 409, json: { error: "put these blobs first", missing } };
  const request = await toProofRequest(deps.blobs, body, options.version);
  const reason =
    refusalOfSegSize(request, options.version) ??
    (await refusalOfContent(request, { hasElf: async () => true }));
  if (reason !== null) return wrong(reason);
  const deadline = body.deadline_seconds === undefined ? {} : { deadlineSeconds: body.deadline_seconds };
  const taken = await takeRun(deps, options, request, { address, priority: body.priority, ...deadline });
  if (taken.kind === "other") return wrong("proof_id is taken by another request", 409);
  return { status: 201, json: summary((await findRun(deps.database, taken.run.id))!) };
}

const STATES: readonly (string | null)[] = ["running", "finished", null];

async function list(deps: RunApiDeps, { address, query }: Call): Promise<Reply> {
  const limit = Math.min(
    MAX_LIMIT,
    Math.max(1, Number(query.get("limit") ?? DEFAULT_LIMIT) || DEFAULT_LIMIT),
  );
  const state = query.get("state");
  if (!STATES.includes(state))
    return { status: 400, json: { error: `state is running or finished, not ${JSON.stringify(state)}` } };
  const before = query.get("before");
  const runs = await listRuns(deps.database, {
    ...{ address, limit },
    ...(state !== null && { isFinished: state === "finished" }),
    ...(before !== null && { before }),
  });
  return { status: 200, json: { runs: runs.map(summary) } };
}

async function describe({ database, pool }: RunApiDeps, run: PipelineRun): Promise<object> {
  const tasks = await listTasks(database, run.id);
  if (run.finishedAt) return { ...summary(run), tasks };
  const slots = new Map<string, number>();
  for (const node of pool.nodes().filter(({ isOpen }) => isOpen)) {
    for (const kind of node.can) slots.set(kind, (slots.get(kind) ?? 0) + node.slots);
  }
  const usual = await readUsualSeconds(database, run.context.program_id);
  const { seconds, isWhole } = estimateRest(tasks, slots, usual);
  const ready = new Set(tasks.filter((task) => task.state === "ready").map((task) => task.kind));
  const unserved = [...ready].flatMap((kind) => pool.whyNone(kind) ?? []);
  return { ...summary(run), tasks, estimate_seconds: seconds, is_estimate_whole: isWhole, unserved };
}

const STATUS_NAMES = new Map<number, string>(
  Object.entries(RUN_STATUS).map(([name, value]) => [value, name]),
);

function summary(run: PipelineRun): object {
  return {
    proof_id: run.id,
    status: STATUS_NAMES.get(run.status),
    step: run.step,
    error: run.error,
    segments: run.segments.total,
    segments_known: run.segments.known,
    priority: run.priority,
    result_hash: run.resultHash,
    created_at: run.createdAt.toISOString(),
    finished_at: run.finishedAt?.toISOString() ?? null,
  };
}

async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Null where the percent signs are wrong. */
function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, status: number, json: unknown): void {
  const connection = status === 413 ? { connection: "close" } : {};
  response
    .writeHead(status, { "content-type": "application/json", ...connection })
    .end(`${JSON.stringify(json)}\n`);
}
