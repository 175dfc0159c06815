export type Step = "split" | "prove" | "agg" | "snark";
export type Commands = Readonly<Partial<Record<Step, readonly string[]>>>;

export interface StageOptions {
  readonly baseDir: string;
  readonly databaseUrl: string;
  /** `host:port`. */
  readonly addr: string;
  /** `host:port` for `pipeline submit` and the like. */
  readonly apiAddr?: string;
  /** What checks the outputs of nodes. */
  readonly verify: readonly string[];
}

/** A stage's configuration. */
export function stageToml({ baseDir, databaseUrl, addr, apiAddr, verify }: StageOptions): string {
  const api = apiAddr === undefined ? {} : { api_addr: apiAddr };
  return toml({ addr, ...api, database_url: databaseUrl, base_dir: baseDir }, { verify });
}

export interface NodeOptions {
  readonly name: string;
  /** Its own: nothing is shared. */
  readonly baseDir: string;
  readonly addr: string;
  readonly stageAddr: string;
  /** The steps that it does. */
  readonly commands: Commands;
}

/** A prover node's configuration. */
export function nodeToml({ name, baseDir, addr, stageAddr, commands }: NodeOptions): string {
  return toml({ addr, name, base_dir: baseDir, stage_addrs: [stageAddr] }, commands);
}

/** Strings and lists of strings are written alike in JSON and TOML. */
function toml(keys: Readonly<Record<string, unknown>>, steps: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  const commands = Object.entries(steps).map(
    ([step, command]) => `${step} = { command = ${JSON.stringify(command)} }`,
  );
  return `${[...lines, "", "[steps]", ...commands].join("\n")}\n`;
}
