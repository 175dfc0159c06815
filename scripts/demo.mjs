#!/usr/bin/env node
import { spawnSync } from "node:child_process";
import { setupOrExit } from "./setup.mjs";

await setupOrExit();
const { status } = spawnSync(process.execPath, ["--import", "tsx", "examples/groth16/demo.ts"], {
  cwd: new URL("..", import.meta.url),
  stdio: "inherit",
});
process.exitCode = status ?? 1;
