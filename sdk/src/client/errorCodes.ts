/**
 * Every file that declares error codes. A declaration file names only what its types need, so that without this list
 * the codes of a package's inner files would be missing where it is used.
 */
import "../actions/inputSource.ts";
import "../actions/programSource.ts";
import "./runResult.ts";
import "./taskFailed.ts";
import "./waitForRun.ts";
import "../context/checkOptions.ts";
import "../context/platform.ts";
import "../context/signer.ts";
import "../context/uploadTarget.ts";
import "../protocol/base64.ts";
import "../protocol/bincode/reader.ts";
import "../protocol/hash.ts";
import "../protocol/hex.ts";
import "../protocol/json/jsonCodec.ts";
import "../protocol/json/parseJson.ts";
import "../protocol/capsuleInvalid.ts";
import "../protocol/keys.ts";
import "../protocol/verifyTransaction.ts";
import "../transport/cancelled.ts";
import "../transport/httpTransport.ts";
import "../transport/openDownload.ts";
import "../transport/readBody.ts";
import "../transport/readRpcResult.ts";
import "../transport/refused.ts";
import "../transport/tokenRefused.ts";
