import "./errorCodes.ts";

export { createEventStreamParser, type EventStreamParser } from "../transport/eventStream.ts";
export { checksumFile } from "./checksumFile.ts";
export {
  DEFAULT_DOWNLOAD_MAX_BYTES,
  DEFAULT_DOWNLOAD_TIMEOUT_MS,
  type DownloadFileOptions,
  downloadFile,
} from "./downloadFile.ts";
export { createFileHost } from "./fileHost.ts";
export { createKeyFile, readKeyFile } from "./keyFile.ts";
export { safeName, safeText } from "./safeText.ts";
export { type HelpSource, type UsageText, usageText } from "./usageText.ts";
