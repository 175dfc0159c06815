/**
 * Every file here that declares error codes. A declaration file names only what its types need, so that without this list
 * the codes of a package's inner files would be missing where it is used.
 */
import "./pipelineClient.ts";
import "./stageCall.ts";
