import { homedir } from "node:os";
import { resolve } from "node:path";
import { GevulotError } from "gevulot-sdk";
import type { InferredOptionTypes } from "yargs";
import { findConfig, loadConfig } from "../../up/config.ts";
import type { DevnetConfig } from "../../up/defineConfig.ts";
import type { DevnetOptions } from "../../up/devnetOptions.ts";
import { findProjectFolder } from "../../up/projectFolder.ts";
import type { upOptions } from "./upOptions.ts";

export type UpArgs = InferredOptionTypes<typeof upOptions>;

export type UpSettings = DevnetOptions & { readonly stateDir: string };

const DEFAULT_NODES = 3;

/** What `up` starts: the command line before the configuration file before the defaults. */
export async function readUpSettings(args: UpArgs): Promise<UpSettings> {
  const stateDir = resolve(args["state-dir"]);
  const file = args.config ?? findConfig(findProjectFolder(process.cwd(), homedir()));
  const config = file === undefined ? {} : await loadConfig(file);
  const flags = fromFlags(args);
  const inspect = inspectOf(args);
  if (inspect !== undefined && (flags.provider ?? config.provider) !== "process") throw noInspector();
  return {
    nodes: DEFAULT_NODES,
    ...config,
    ...flags,
    ports: { ...config.ports, ...flags.ports },
    stateDir,
    inspect,
    fresh: args.fresh,
    defaultPorts: true,
    explorer: args["no-explorer"] ? false : { port: args["explorer-port"] },
  };
}

function noInspector(): GevulotError {
  return new GevulotError(
    "OPTION_INVALID",
    "--inspect works with --provider process only: a debugger does not reach into a virtual machine.",
    { context: { option: "inspect" } },
  );
}

/** Without a number it is any port. */
function inspectOf({ inspect, "inspect-brk": brk }: UpArgs): DevnetOptions["inspect"] {
  const port = brk ?? inspect;
  return port === undefined ? undefined : { port: Number(port), wait: brk !== undefined };
}

/** Only those that were given. */
function fromFlags(args: UpArgs): DevnetConfig {
  const ports = { rpc: args["rpc-port"], http: args["http-port"], p2p: args["p2p-port"] };
  const volumes = args["volumes-directory"];
  return defined({
    nodes: args.nodes,
    mode: args.execution as DevnetConfig["mode"],
    provers: args.provers,
    verifiers: args.verifiers,
    attempts: args.attempts,
    join: args.join,
    passphrase: args.passphrase,
    provider: args.provider as DevnetConfig["provider"],
    execution: args["no-execution"] === undefined ? undefined : !args["no-execution"],
    allowUnmountedImages: args["allow-unmounted-images"],
    taskDeadlineSeconds: args["task-deadline-seconds"],
    taskIdleSeconds: args["task-idle-seconds"],
    volumesDirectory: volumes === undefined ? undefined : resolve(volumes),
    memGb: args["mem-gb"],
    numCpus: args["num-cpus"],
    ports: defined(ports),
    postgresPort: args["postgres-port"],
  });
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function defined<T extends object>(values: T): Partial<Defined<T>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
