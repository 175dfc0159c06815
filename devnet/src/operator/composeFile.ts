import { stringify } from "yaml";
import { POSTGRES_IMAGE } from "./quadletUnits.ts";

export interface ComposeOptions {
  readonly nodes: number;
  /** Of nodes and explorer. */
  readonly image: string;
  readonly postgresImage: string;
  readonly provider: "qemu" | "process";
  /** Hands /dev/kvm to the nodes. */
  readonly kvm: boolean;
}

export const DEFAULT_COMPOSE: ComposeOptions = {
  nodes: 3,
  image: "localhost/gevulot-node:latest",
  postgresImage: POSTGRES_IMAGE,
  provider: "qemu",
  kvm: false,
};

export const MAX_COMPOSE_NODES = 50;
export const EXPLORER_PORT = 9940;
const POSTGRES_PORT = 25_432;
/** The first node has the ports that everybody knows; the others ten each from here. */
const FIRST_PORTS = { rpc: 9944, http: 9995, p2p: 9999, health: 8888 };
const OTHER_PORTS = 21_000;
const PORTS_PER_NODE = 10;
const DATA = "/var/lib/gevulot";
/** Seconds that PostgreSQL may take for its first start. */
const DATABASE_TRIES = 120;

export function composePorts(index: number): typeof FIRST_PORTS {
  if (index === 0) return FIRST_PORTS;
  const base = OTHER_PORTS + index * PORTS_PER_NODE;
  return { rpc: base + 4, http: base + 5, p2p: base + 9, health: base + 8 };
}

export function composeRpcUrls(nodes: number): string[] {
  return Array.from({ length: nodes }, (_, index) => `http://127.0.0.1:${composePorts(index).rpc}`);
}

/**
 * A network of nodes with PostgreSQL and explorer, for `docker compose`. All is on the host's network and on 127.0.0.1: an
 * app on this machine then serves files to the nodes and downloads theirs, as with a devnet without containers.
 */
export function composeFile(options: ComposeOptions): string {
  const indices = Array.from({ length: options.nodes }, (_, index) => index);
  const nodes = Object.fromEntries(indices.map((index) => [`node${index}`, nodeService(options, index)]));
  const volumes = ["postgres", ...indices.map((index) => `node${index}`)];
  return `${HEAD}${stringify(
    {
      services: {
        postgres: postgresService(options),
        databases: databasesService(options),
        ...nodes,
        explorer: explorerService(options),
      },
      volumes: Object.fromEntries(volumes.map((name) => [name, {}])),
    },
    // For some readers, off and no are booleans.
    { version: "1.1" },
  )}`;
}

const HEAD = `# A Gevulot network for development. Everything listens on 127.0.0.1 of this machine, and the database's password is
# known: this is no set-up for a node that others reach; see \`gevulot-devnet export quadlet\`.
#
#   docker compose up --detach      docker compose logs --follow      docker compose down [--volumes]
`;

const onHost = { network_mode: "host", restart: "on-failure" };
const databaseUrl = (name: string) => `postgres://gevulot:gevulot@127.0.0.1:${POSTGRES_PORT}/${name}`;

function postgresService({ postgresImage: image }: ComposeOptions) {
  return {
    image,
    ...onHost,
    command: ["postgres", "-p", String(POSTGRES_PORT), "-c", "listen_addresses=127.0.0.1"],
    environment: { POSTGRES_USER: "gevulot", POSTGRES_PASSWORD: "gevulot", POSTGRES_DB: "gevulot" },
    volumes: ["postgres:/var/lib/postgresql/data"],
  };
}

/** A database for each node, made once; it ends when they are there. */
function databasesService({ postgresImage: image, nodes }: ComposeOptions) {
  const names = Array.from({ length: nodes }, (_, index) => `node${index}`).join(" ");
  const psql = `psql -qAt ${databaseUrl("gevulot")}`;
  // A dollar sign is doubled for compose. On its first start the server listens only when it is set up.
  const script = `tries=0
until ${psql} -c 'select 1' >/dev/null 2>&1; do
  tries=$$((tries + 1))
  if [ $$tries -ge ${DATABASE_TRIES} ]; then echo 'PostgreSQL does not answer on port ${POSTGRES_PORT}: see the log of the service postgres' >&2; exit 1; fi
  sleep 1
done
for name in ${names}; do
  [ "$$(${psql} -c "select 1 from pg_database where datname = '$$name'")" = 1 ] || ${psql} -c "create database $$name" || exit 1
done
`;
  return {
    image,
    network_mode: "host",
    entrypoint: ["sh", "-c", script],
    depends_on: { postgres: { condition: "service_started" } },
  };
}

function nodeService({ image, provider, kvm }: ComposeOptions, index: number) {
  const { rpc, http, p2p, health } = composePorts(index);
  const key = `${DATA}/node.key`;
  return {
    image,
    ...onHost,
    // A node keeps its key with its data.
    entrypoint: [
      "sh",
      "-c",
      `[ -e ${key} ] || gevulot-node generate key --key-file ${key} || exit 1; exec gevulot-node run`,
    ],
    environment: {
      GEVULOT_DB_URL: databaseUrl(`node${index}`),
      GEVULOT_JSON_RPC_LISTEN_ADDR: `127.0.0.1:${rpc}`,
      GEVULOT_P2P_LISTEN_ADDR: `127.0.0.1:${p2p}`,
      ...(index > 0 && { GEVULOT_P2P_DISCOVERY_ADDR: `127.0.0.1:${FIRST_PORTS.p2p}` }),
      GEVULOT_HTTP_PORT: String(http),
      GEVULOT_HEALTHCHECK_LISTEN_ADDR: `127.0.0.1:${health}`,
      GEVULOT_EXECUTION: "assigned",
      GEVULOT_PROVIDER: provider,
      GEVULOT_ACL: "off",
    },
    volumes: [`node${index}:${DATA}`],
    ...(kvm && { devices: ["/dev/kvm:/dev/kvm"] }),
    depends_on: { databases: { condition: "service_completed_successfully" } },
  };
}

function explorerService({ image, nodes }: ComposeOptions) {
  const urls = composeRpcUrls(nodes).flatMap((url) => ["--node", url]);
  return {
    image,
    ...onHost,
    entrypoint: ["gevulot-devnet", "explorer", ...urls, "--listen", `127.0.0.1:${EXPLORER_PORT}`],
    depends_on: Object.fromEntries(
      Array.from({ length: nodes }, (_, index) => [`node${index}`, { condition: "service_started" }]),
    ),
  };
}
