/**
 * What an app wants later or never, in one piece that is loaded when any of it is first wanted: that keeps small what a page
 * loads at once. In several pieces, what they share would lie in pieces of its own, and all of it would be larger.
 */
export { findHashes } from "../actions/findHashes.ts";
export { getRunTrace } from "../actions/getRunTrace.ts";
export { listPrograms, listRuns, listTasks } from "../actions/lists.ts";
export { createStageClient } from "../pipeline/pipelineClient.ts";
export { awaitResult } from "./followRun.ts";
export { streamRunEvents } from "./runEvents.ts";
