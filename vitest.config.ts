import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Tests run against the sources; only the command line tests start what `npm run build` made. */
const alias = [
  { find: /^gevulot-sdk$/, replacement: source("sdk/src/index.ts") },
  { find: /^gevulot-sdk\/errors$/, replacement: source("sdk/src/errors.ts") },
  { find: /^gevulot-sdk\/protocol$/, replacement: source("sdk/src/protocol/index.ts") },
  { find: /^gevulot-sdk\/pipeline$/, replacement: source("sdk/src/pipeline/index.ts") },
  { find: /^gevulot-sdk\/node$/, replacement: source("sdk/src/node/index.ts") },
  { find: /^gevulot-shim\/wire$/, replacement: source("shim/src/wire.ts") },
  { find: /^gevulot-shim$/, replacement: source("shim/src/index.ts") },
  { find: /^gevulot-devnet$/, replacement: source("devnet/src/index.ts") },
];

export default defineConfig({
  resolve: { alias },
  test: {
    projects: [
      {
        resolve: { alias },
        test: {
          name: "unit",
          include: ["*/src/**/*.test.ts", "test/*.test.ts", "test/sim/*.test.ts"],
          testTimeout: 20_000,
          hookTimeout: 30_000,
        },
      },
      {
        resolve: { alias },
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Real virtual machines without KVM need the processors for themselves.
          fileParallelism: false,
          pool: "forks",
        },
      },
      {
        resolve: { alias },
        test: {
          name: "long",
          include: ["test/long/**/*.test.ts"],
          testTimeout: 1_800_000,
          hookTimeout: 600_000,
          fileParallelism: false,
          pool: "forks",
        },
      },
    ],
  },
});
