/**
 * Makes all that the two programs need, in the current folder, which holds `preimage.circom`: compiles the circuit, holds
 * a powers-of-tau ceremony of its own and the circuit's second phase, and writes the keys. `setup.ts` starts it as a
 * process, because snarkjs leaves workers behind and circom wants a working directory. One line of output a step.
 *
 * A local ceremony is for development: whoever ran it could forge proofs.
 */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as snarkjs from "snarkjs";
import { ModuleBuilder } from "wasmbuilder";
import { buildBn128 } from "wasmcurves";

const require = createRequire(import.meta.url);
/** 2^8 is the smallest size that holds the circuit's 213 constraints; every step more doubles the time. */
const POWER = 8;

await step("compile the circuit", compile);
await step("powers of tau", powersOfTau);
await step("keys of the circuit", circuitKeys);
await step("the curve's WebAssembly", curveCode);
process.exit(0);

async function step(name, work) {
  console.log(name);
  await work();
}

function compile() {
  // circom runs in a WASI sandbox that sees only what lies in or above the working directory, and no links.
  const circuits = join(dirname(require.resolve("circomlib/package.json")), "circuits");
  mkdirSync("include/circomlib", { recursive: true });
  cpSync(circuits, "include/circomlib/circuits", { recursive: true });
  const circom = join(dirname(require.resolve("circom2/package.json")), "cli.js");
  // --O2 removes linear constraints: half the constraints, half the proof's time.
  const args = [circom, "preimage.circom", "--r1cs", "--wasm", "--O2", "-l", "include", "-o", "."];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`circom failed with code ${status}:\n${stdout}${stderr}`);
  cpSync("preimage_js/preimage.wasm", "preimage.wasm");
  rmSync("include", { recursive: true });
  rmSync("preimage_js", { recursive: true });
}

async function powersOfTau() {
  const curve = await snarkjs.curves.getCurveFromName("bn128");
  await snarkjs.powersOfTau.newAccumulator(curve, POWER, "empty.ptau");
  await snarkjs.powersOfTau.contribute("empty.ptau", "contributed.ptau", "local", entropy());
  await snarkjs.powersOfTau.preparePhase2("contributed.ptau", "final.ptau");
}

async function circuitKeys() {
  const problems = [];
  const logger = { error: (text) => problems.push(text), warn() {}, info() {}, debug() {} };
  // It reports a circuit that is too large only so: it returns -1, leaves a cut file, and tells the reason to its log.
  const made = await snarkjs.zKey.newZKey("preimage.r1cs", "final.ptau", "empty.zkey", logger);
  if (made === -1 || problems.length > 0) throw new Error(`no proving key: ${problems.join("; ")}`);
  await snarkjs.zKey.contribute("empty.zkey", "preimage.zkey", "local", entropy());
  if (!(await snarkjs.zKey.verifyFromR1cs("preimage.r1cs", "final.ptau", "preimage.zkey", logger))) {
    throw new Error(`the proving key does not fit the circuit: ${problems.join("; ")}`);
  }
  const key = await snarkjs.zKey.exportVerificationKey("preimage.zkey");
  writeFileSync("verification_key.json", `${JSON.stringify(key, null, 1)}\n`);
  for (const name of ["empty.ptau", "contributed.ptau", "final.ptau", "empty.zkey", "preimage.r1cs"])
    rmSync(name);
  if (statSync("preimage.zkey").size === 0) throw new Error("the proving key is empty");
}

/**
 * ffjavascript generates the curve's code anew in every process: 0.1 s here, a second in a virtual machine without
 * hardware support. It is always the same, so the programs take it from a file.
 */
function curveCode() {
  const builder = new ModuleBuilder();
  builder.setMemory(25);
  buildBn128(builder);
  const code = builder.build();
  const { f1m, frm, bn128 } = builder.modules;
  const { pG1gen, pG1zero, pG1b, pG2gen, pG2zero, pG2b, pOneT, prePSize, preQSize, q, r } = bn128;
  const places = { pG1gen, pG1zero, pG1b, pG2gen, pG2zero, pG2b, pOneT, prePSize, preQSize };
  const constants = { ...places, pq: f1m.pq, pr: frm.pq, q: q.toString(), r: r.toString() };
  writeFileSync("bn128.wasm", code);
  writeFileSync("bn128.json", `${JSON.stringify(constants, null, 1)}\n`);
}

function entropy() {
  return randomBytes(32).toString("hex");
}
