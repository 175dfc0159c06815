import { writeFileSync } from "node:fs";

/**
 * Vitest reporter that writes what `npm test` sums up: numbers, failures, and each skipped test with its reason.
 * The default reporter beside it shows the progress.
 */
export default class SummaryReporter {
  /** @param {readonly any[]} modules @param {readonly any[]} unhandledErrors @param {string} reason */
  onTestRunEnd(modules, unhandledErrors, reason) {
    const summary = { passed: 0, failures: [], skips: [], endedEarly: reason === "interrupted" };
    for (const module of modules) readModule(module, summary);
    for (const error of unhandledErrors)
      summary.failures.push(`outside of any test: ${error.message ?? error}`);
    const path = process.env.GEVULOT_TEST_SUMMARY;
    if (path === undefined) throw new Error("GEVULOT_TEST_SUMMARY must name the file to write");
    writeFileSync(path, JSON.stringify(summary));
  }
}

/** @typedef {{ passed: number, failures: string[], skips: { name: string, reason: string }[] }} Summary */

/** @param {any} module @param {Summary} summary */
function readModule(module, summary) {
  const file = module.relativeModuleId;
  // A file that can't be loaded, or whose hooks fail, would else count as nothing.
  for (const error of module.errors()) summary.failures.push(`${file}: ${error.message}`);
  for (const suite of module.children.allSuites()) {
    for (const error of suite.errors())
      summary.failures.push(`${file} > ${suite.fullName}: ${error.message}`);
  }
  for (const test of module.children.allTests()) {
    const result = test.result();
    const name = `${file} > ${test.fullName}`;
    if (result.state === "passed") summary.passed += 1;
    else if (result.state === "failed") summary.failures.push(name);
    else summary.skips.push({ name, reason: reasonOf(test, result) });
  }
}

/** @param {any} test @param {any} result */
function reasonOf(test, result) {
  if (result.state === "pending") return "did not come to its turn";
  if (result.note) return result.note;
  return test.options.mode === "todo" ? "not written yet" : "its file gives no reason";
}
