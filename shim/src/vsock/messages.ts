import {
  bytesField,
  bytesOf,
  numberField,
  numberOf,
  ProtobufError,
  readFields,
  textField,
  textOf,
} from "./protobuf.ts";

/** The messages of `proto/vm_service.proto` (protocol section 8), both ends' side of each. */

/** `Unavailable` in a response: no task yet, ask again. */
export type TaskError = "Unavailable" | "Failed";

export interface TaskMessage {
  readonly txHash: string;
  readonly name: string;
  readonly args: readonly string[];
  /** Absolute paths inside the virtual machine. */
  readonly files: readonly string[];
}

export type TaskResponse =
  | { readonly kind: "task"; readonly task: TaskMessage }
  | { readonly kind: "error"; readonly error: TaskError };

export interface ResultFile {
  readonly path: string;
  /** BLAKE3; 32 bytes, if the sender keeps to the protocol. */
  readonly checksum: Uint8Array;
}

export interface ResultMessage {
  readonly txHash: string;
  readonly result:
    | { readonly kind: "task"; readonly data: Uint8Array; readonly files: readonly ResultFile[] }
    | { readonly kind: "error"; readonly error: TaskError };
}

/** Of a result, which a node reads from a program that it does not trust; twice the files that one may have. */
const MAX_FIELDS = { message: 8, task: 20_000, file: 8 } as const;

export const GET_TASK = "/vm_service.VMService/GetTask";
export const SUBMIT_RESULT = "/vm_service.VMService/SubmitResult";

export function encodeTaskResponse(response: TaskResponse): Buffer {
  if (response.kind === "error") return numberField(2, errorNumber(response.error));
  const { txHash, name, args, files } = response.task;
  const task = Buffer.concat([
    // What is empty is left out, but not from a list.
    ...(txHash === "" ? [] : [textField(1, txHash)]),
    ...(name === "" ? [] : [textField(2, name)]),
    ...args.map((arg) => textField(3, arg)),
    ...files.map((file) => textField(4, file)),
  ]);
  return bytesField(1, task);
}

/** A response without either answer counts as `Unavailable`. @throws ProtobufError */
export function decodeTaskResponse(bytes: Buffer): TaskResponse {
  let response: TaskResponse = { kind: "error", error: "Unavailable" };
  for (const field of readFields(bytes)) {
    const task = field.number === 1 ? bytesOf(field) : null;
    const error = field.number === 2 ? numberOf(field) : null;
    if (task !== null) response = { kind: "task", task: decodeTask(task) };
    if (error !== null) response = { kind: "error", error: errorOf(error) };
  }
  return response;
}

function decodeTask(bytes: Buffer): TaskMessage {
  const texts: [string[], string[], string[], string[]] = [[], [], [], []];
  for (const field of readFields(bytes)) {
    const text = field.number <= texts.length ? textOf(field) : null;
    if (text !== null) texts[field.number - 1]?.push(text);
  }
  const [hashes, names, args, files] = texts;
  // Of a field that comes twice the last counts.
  return { txHash: hashes.at(-1) ?? "", name: names.at(-1) ?? "", args, files };
}

export function encodeResult({ txHash, result }: ResultMessage): Buffer {
  const head = txHash === "" ? [] : [textField(1, txHash)];
  if (result.kind === "error") return Buffer.concat([...head, numberField(3, errorNumber(result.error))]);
  const task = Buffer.concat([
    ...(result.data.length === 0 ? [] : [bytesField(2, result.data)]),
    ...result.files.map(({ path, checksum }) =>
      bytesField(3, Buffer.concat([textField(1, path), bytesField(2, checksum)])),
    ),
  ]);
  return Buffer.concat([...head, bytesField(2, task)]);
}

/** @throws ProtobufError, also for a message without a result */
export function decodeResult(bytes: Buffer): ResultMessage {
  let txHash = "";
  let result: ResultMessage["result"] | null = null;
  for (const field of readFields(bytes, MAX_FIELDS.message)) {
    const task = field.number === 2 ? bytesOf(field) : null;
    const error = field.number === 3 ? numberOf(field) : null;
    if (field.number === 1) txHash = textOf(field) ?? txHash;
    if (task !== null) result = decodeTaskResult(task);
    if (error !== null) result = { kind: "error", error: errorOf(error) };
  }
  if (result === null) throw new ProtobufError("the message has no result");
  return { txHash, result };
}

function decodeTaskResult(bytes: Buffer): Extract<ResultMessage["result"], { kind: "task" }> {
  let data: Uint8Array = new Uint8Array();
  const files: ResultFile[] = [];
  for (const field of readFields(bytes, MAX_FIELDS.task)) {
    const value = bytesOf(field);
    if (value === null) continue;
    if (field.number === 2) data = value;
    if (field.number === 3) files.push(decodeFile(value));
  }
  return { kind: "task", data, files };
}

function decodeFile(bytes: Buffer): ResultFile {
  let path = "";
  let checksum: Uint8Array = new Uint8Array();
  for (const field of readFields(bytes, MAX_FIELDS.file)) {
    if (field.number === 1) path = textOf(field) ?? path;
    if (field.number === 2) checksum = bytesOf(field) ?? checksum;
  }
  return { path, checksum };
}

export function encodeResultResponse(goOn: boolean): Buffer {
  return goOn ? numberField(1, 1) : Buffer.alloc(0);
}

/** Whether another task follows. @throws ProtobufError */
export function decodeResultResponse(bytes: Buffer): boolean {
  let goOn = false;
  for (const field of readFields(bytes)) if (field.number === 1) goOn = (numberOf(field) ?? 0n) !== 0n;
  return goOn;
}

function errorNumber(error: TaskError): number {
  return error === "Failed" ? 1 : 0;
}

/** A number that is not in use yet says at least that it failed. */
function errorOf(value: bigint): TaskError {
  return value === 0n ? "Unavailable" : "Failed";
}
