import { GevulotError, isGevulotError } from "gevulot-sdk";
import pg from "pg";
import type { Logger } from "pino";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DATABASE_UNREACHABLE: { url: string };
  }
}

export interface Queryable {
  query<R extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<pg.QueryResult<R>>;
}

export interface Database extends Queryable, AsyncDisposable {
  /** Runs `work` in one transaction: all of it is committed, or nothing. */
  transaction<T>(work: (client: Queryable) => Promise<T>): Promise<T>;
}

const MAX_CONNECTIONS = 10;
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;
/** A server that is alive ends a statement before. */
const QUERY_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 5_000;
/** SQLSTATE classes that say "the server is going or gone", not "your query is wrong". */
const UNREACHABLE = new Set([
  ...["ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EPIPE", "ENOENT", "ETIMEDOUT"],
  ...["ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"],
  // No such database, no such user, wrong password.
  ...["3D000", "28000", "28P01"],
]);
/** A table was changed since the connection prepared a statement: another connection does it. */
const STALE_PLAN = "cached plan must not change result type";
const GONE = /^(08|25P03|57P0[123]|53300)/;
/**
 * Another transaction was in the way, a disk is full, a statement took too long, the server is a standby: not the data's
 * fault.
 */
const PASSING = /^(25006|40|53|55|57|58)/;

export interface DatabaseOptions {
  readonly url: string;
  /** After so long without an answer the server counts as gone; default 35,000. */
  readonly queryTimeoutMs?: number;
  /**
   * A transaction that says nothing for so long is ended: whose process is frozen or cut off keeps its locks from others
   * otherwise. Default: never.
   */
  readonly longestPauseMs?: number;
  /**
   * Statements with values are prepared, once for each connection, and planned for each call's values as others are: their
   * texts must be constants. What does not wait for each other goes together, as a transaction's begin does with its first
   * statement. Half the cost here.
   */
  readonly prepares?: boolean;
}

/**
 * A pool on a Postgres database. A server that goes away, or no longer answers, makes queries fail with
 * `DATABASE_UNREACHABLE`, and comes back by itself.
 */
export async function createDatabase(deps: { log: Logger }, options: DatabaseOptions): Promise<Database> {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: MAX_CONNECTIONS,
    // What a node that rests still asks now and then is not worth a new connection each time.
    min: 1,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: options.queryTimeoutMs ?? QUERY_TIMEOUT_MS,
    ...(options.longestPauseMs !== undefined && {
      idle_in_transaction_session_timeout: options.longestPauseMs,
    }),
    keepAlive: true,
    application_name: "gevulot-node",
    ...(options.prepares && { pipeline: true, options: "-c plan_cache_mode=force_custom_plan" }),
  });
  const send = options.prepares ? createPreparing() : sendPlain;
  // Without a listener, a dropped idle connection would end the process.
  pool.on("error", (error) => deps.log.warn({ reason: error.message }, "a database connection was lost"));

  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw isConnectionLoss(error) ? unreachable(options.url, error) : error;
    }
  };

  return {
    query: (sql, values) => guard(() => send(pool, sql, values)),
    transaction: (work) =>
      guard(async () => {
        const client = await pool.connect();
        // A connection lost between two queries of a transaction reports here as well as in the next query.
        const ignore = () => {};
        client.on("error", ignore);
        let broken: Error | undefined;
        try {
          const begun = client.query("begin");
          begun.catch(ignore);
          if (!options.prepares) await begun;
          const result = await work({ query: (sql, values) => send(client, sql, values) });
          await begun;
          await client.query("commit");
          return result;
        } catch (error) {
          if (isConnectionLoss(error)) broken = error as Error;
          else {
            await client.query("rollback").catch((rollbackError: Error) => {
              broken = rollbackError;
            });
          }
          throw error;
        } finally {
          client.off("error", ignore);
          client.release(broken);
        }
      }),
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

type Send = <R extends pg.QueryResultRow>(
  client: Pick<pg.ClientBase, "query">,
  sql: string,
  values?: readonly unknown[],
) => Promise<pg.QueryResult<R>>;

const sendPlain: Send = (client, sql, values) => client.query(sql, values as unknown[]);

/** Each text gets a name, under which its connections know it. */
function createPreparing(): Send {
  const names = new Map<string, string>();
  return (client, text, values) => {
    // Only what is sent without values may be several statements.
    if (values === undefined || values.length === 0) return sendPlain(client, text);
    const name = names.get(text) ?? `s${names.size}`;
    names.set(text, name);
    return client.query({ name, text, values: values as unknown[] });
  };
}

/** Whether an error says that the server could not be reached, so that the same work may succeed later. */
export function isConnectionLoss(error: unknown): boolean {
  if (error instanceof GevulotError) return error.code === "DATABASE_UNREACHABLE";
  if (!(error instanceof Error)) return false;
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return (
    GONE.test(code) ||
    UNREACHABLE.has(code) ||
    error.message === STALE_PLAN ||
    /Connection terminated|timeout exceeded when trying to connect|Query read timeout|not queryable/.test(
      error.message,
    )
  );
}

/** Whether a {@link Database} threw that it can't be reached, which ends however long it lasts. */
export function isUnreachable(error: unknown): boolean {
  return isGevulotError(error, "DATABASE_UNREACHABLE");
}

/**
 * Whether what a {@link Database} threw says that the same work may succeed later, as nothing is wrong with it. Other errors
 * never do, e.g. that of a missing file, which looks like that of a socket.
 */
export function isPassing(error: unknown): boolean {
  return isUnreachable(error) || (error instanceof pg.DatabaseError && PASSING.test(error.code ?? ""));
}

function unreachable(url: string, cause: unknown): GevulotError {
  if (cause instanceof GevulotError) return cause;
  const shown = hidePassword(url);
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new GevulotError(
    "DATABASE_UNREACHABLE",
    `The database at ${shown} can't be reached (${reason}). Start PostgreSQL, or check the database, user and address of that URL (--db-url; of a pipeline's stage database_url).`,
    { context: { url: shown }, cause },
  );
}

function hidePassword(url: string): string {
  return url.replace(/^(\w+:\/\/[^:/@]+):[^@]*@/, "$1:***@");
}
