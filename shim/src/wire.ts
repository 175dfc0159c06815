/** For the other end, the node: messages, frames and sockets of protocol section 8. */
export { decodeFrame, encodeFrame } from "./vsock/grpcFrame.ts";
export { KOFFI_IN_IMAGE, loadKoffi } from "./vsock/loadKoffi.ts";
export {
  decodeResult,
  encodeResultResponse,
  encodeTaskResponse,
  GET_TASK,
  type ResultFile,
  type ResultMessage,
  SUBMIT_RESULT,
  type TaskMessage,
} from "./vsock/messages.ts";
export { ProtobufError } from "./vsock/protobuf.ts";
export {
  CID_ANY,
  CID_LOCAL,
  createVsockLibc,
  type Koffi,
  TASK_PORT,
  type VsockLibc,
} from "./vsock/vsockLibc.ts";
