import pg from "pg";

const CONNECT_TIMEOUT_MS = 10_000;

/** A connection to a node's database; one that is lost fails what is asked of it, and nothing else. */
export async function openDatabase(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  client.on("error", () => {});
  await client.connect();
  return client;
}
