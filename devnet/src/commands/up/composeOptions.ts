import type { InferredOptionTypes, Options } from "yargs";
import { type ComposeOptions, DEFAULT_COMPOSE, MAX_COMPOSE_NODES } from "../../operator/composeFile.ts";

/** What the containers of a network are made of; for `export compose` and `up --docker`. */
export const composeOptions = {
  image: {
    type: "string",
    default: DEFAULT_COMPOSE.image,
    requiresArg: true,
    describe: "Container image of the nodes",
  },
  "postgres-image": {
    type: "string",
    default: DEFAULT_COMPOSE.postgresImage,
    requiresArg: true,
    describe: "Container image of PostgreSQL",
  },
  kvm: { type: "boolean", default: false, describe: "Give the nodes' containers /dev/kvm" },
} as const satisfies Record<string, Options>;

export type ComposeArgs = InferredOptionTypes<typeof composeOptions> & {
  readonly nodes?: number | undefined;
  readonly provider?: string | undefined;
};

export function composeOptionsOf(args: ComposeArgs): ComposeOptions {
  return {
    nodes: args.nodes ?? DEFAULT_COMPOSE.nodes,
    image: args.image,
    postgresImage: args["postgres-image"],
    provider: args.provider === "process" ? "process" : "qemu",
    kvm: args.kvm,
  };
}

/** For yargs: true, or what is wrong. */
export function checkComposeNodes({ nodes }: { readonly nodes?: number | undefined }): true | string {
  const isFit = nodes === undefined || (Number.isInteger(nodes) && nodes >= 1 && nodes <= MAX_COMPOSE_NODES);
  return isFit || `--nodes must be a whole number from 1 to ${MAX_COMPOSE_NODES}.`;
}
