/**
 * Builds the programs and writes the configurations of a stage and two prover nodes:
 *
 *     npx tsx examples/pipeline-plonky2/main.ts postgres://me:password@localhost/pipeline [folder]
 */
import { pipelineArguments, writePipelineFolder } from "../pipelineFolder.ts";
import { buildExample } from "../toolchain.ts";
import { commandsOf, pipelinePlonky2, verifyCommand } from "./app.ts";

const { databaseUrl, folder } = pipelineArguments();
const buildDir = await buildExample(pipelinePlonky2, { onProgress: console.log });
writePipelineFolder(folder, databaseUrl, { commands: commandsOf(buildDir), verify: verifyCommand(buildDir) });
console.log(`${buildDir}/chain-verifier proof ${buildDir}/chain.keys FILE START LENGTH`);
