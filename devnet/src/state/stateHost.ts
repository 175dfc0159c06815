import type { StateManifest } from "./stateManifest.ts";

/** A devnet whose state is saved or replaced, whether it runs or not. */
export interface StateHost {
  readonly stateDir: string;
  /** As many as it has, from `node0` on. */
  readonly nodes: readonly HostedNode[];
  /** Puts a saved state in the place of the devnet's own. */
  load(saved: SavedState): Promise<void>;
}

export interface HostedNode {
  readonly name: string;
  readonly dataDir: string;
  readonly databaseUrl: string;
}

/** A state in a folder below the devnet's own. */
export interface SavedState {
  readonly dir: string;
  readonly manifest: StateManifest;
  /** What people call it: a file, or a snapshot's name. */
  readonly source: string;
}
