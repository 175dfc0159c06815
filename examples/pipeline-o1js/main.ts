/**
 * Installs o1js, makes the keys, and writes the configurations of a stage and two prover nodes:
 *
 *     npx tsx examples/pipeline-o1js/main.ts postgres://me:password@localhost/pipeline [folder]
 */
import { pipelineArguments, writePipelineFolder } from "../pipelineFolder.ts";
import { buildExample } from "../toolchain.ts";
import { commandsOf, pipelineO1js, proofCommand, verifyCommand } from "./app.ts";

const { databaseUrl, folder } = pipelineArguments();
const buildDir = await buildExample(pipelineO1js, { onProgress: console.log });
writePipelineFolder(folder, databaseUrl, { commands: commandsOf(buildDir), verify: verifyCommand(buildDir) });
console.log(proofCommand(buildDir).concat("FILE", "START", "LENGTH").join(" "));
