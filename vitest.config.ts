import { availableParallelism } from "node:os";
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
  { find: /^gevulot-devnet\/config$/, replacement: source("devnet/src/up/defineConfig.ts") },
  { find: /^gevulot-devnet\/vitest$/, replacement: source("devnet/src/vitest/index.ts") },
  { find: /^gevulot-devnet$/, replacement: source("devnet/src/index.ts") },
];

const processors = availableParallelism();

// Limits are for a machine that is slow and busy with other things: none of them is what a test is about.

export default defineConfig({
  resolve: { alias },
  test: {
    projects: [
      {
        resolve: { alias },
        test: {
          name: "unit",
          include: ["*/src/**/*.test.ts", "test/*.test.ts", "test/sim/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          expect: { poll: { timeout: 20_000 } },
          // Many of them wait for a server, a child process or a deadline, so one more than there are processors.
          maxWorkers: processors + 1,
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          expect: { poll: { timeout: 60_000 } },
          // A virtual machine without KVM takes a processor for itself.
          maxWorkers: Math.max(1, Math.min(processors, 4)),
          sequence: { groupOrder: 1 },
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
          expect: { poll: { timeout: 60_000 } },
          // These measure and count: nothing runs beside them.
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
          pool: "forks",
        },
      },
    ],
  },
});
