import { z } from "zod";
import type { Database } from "../store/database.ts";
import { findHashes } from "../store/findHashes.ts";
import { listPrograms, listRuns, listTasks, type Page, type PageStart } from "../store/readLists.ts";
import { defineMethod, type Method, parserOf } from "./method.ts";
import {
  foundHashes,
  hashHex,
  programPage,
  publicKeyHex,
  RUN_STATES,
  runPage,
  TASK_STATES,
  taskPage,
} from "./wireSchemas.ts";

const MAX_PAGE = 100;
const DEFAULT_PAGE = 20;
/** Where a page ended: a row's time to the microsecond, and its key. */
const CURSOR = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)_([0-9a-f]{1,64})$/;
const TIME = z.iso.datetime({ offset: true });

const fields = {
  author: publicKeyHex.optional().describe("only by this key; of a program, who deployed it first"),
  before: z
    .string()
    .max(128)
    .refine((text) => CURSOR.test(text) || TIME.safeParse(text).success, {
      message: "a page's `next`, or an ISO 8601 time with its offset, is wanted",
    })
    .optional()
    .describe("a page's `next`, or an ISO 8601 time: only what is older"),
  limit: z.int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
};
const runFilter = z.strictObject({
  ...fields,
  state: z.enum(RUN_STATES).optional(),
  program: hashHex.optional().describe("only with a step of this program"),
});
const programFilter = z.strictObject(fields);
const taskFilter = z.strictObject({ ...fields, state: z.enum(TASK_STATES).optional() });

const hashStart = z.strictObject({
  prefix: z.string().regex(/^[0-9a-f]{4,64}$/, "4 to 64 hex digits in lower case are wanted"),
  limit: fields.limit,
});

/** What a node keeps, newest first, a page at a time. */
export function createListMethods(database: Database): Record<string, Method> {
  return {
    listRuns: defineMethod<z.output<typeof runFilter>>({
      summary: "The Runs that this node keeps, newest first",
      parameter: { name: "filter", schema: runFilter },
      result: { name: "page", schema: runPage },
      parse: parserOf(runFilter),
      run: async (filter) => toWire(await listRuns(database, withStart(filter))),
    }),
    listPrograms: defineMethod<z.output<typeof programFilter>>({
      summary: "The programs that are deployed, newest first",
      parameter: { name: "filter", schema: programFilter },
      result: { name: "page", schema: programPage },
      parse: parserOf(programFilter),
      run: async (filter) => toWire(await listPrograms(database, withStart(filter))),
    }),
    findHashes: defineMethod<z.output<typeof hashStart>>({
      summary: "The transactions and programs whose hashes begin so",
      parameter: { name: "start", schema: hashStart },
      result: { name: "found", schema: foundHashes },
      parse: parserOf(hashStart),
      run: ({ prefix, limit }) => findHashes(database, prefix, limit),
    }),
    listTasks: defineMethod<z.output<typeof taskFilter>>({
      summary: "The tasks of this node, newest first",
      parameter: { name: "filter", schema: taskFilter },
      result: { name: "page", schema: taskPage },
      parse: parserOf(taskFilter),
      run: async (filter) => toWire(await listTasks(database, withStart(filter))),
    }),
  };
}

function withStart<F extends { before?: string | undefined }>(
  filter: F,
): Omit<F, "before"> & { before: PageStart | undefined } {
  const { before } = filter;
  const cursor = CURSOR.exec(before ?? "");
  const start = before === undefined ? undefined : { at: cursor?.[1] ?? before, key: cursor?.[2] ?? "" };
  return { ...filter, before: start };
}

function toWire<Item>(page: Page<Item>): { items: readonly Item[]; next: string | null } {
  return { items: page.items, next: page.next && `${page.next.at}_${page.next.key}` };
}
