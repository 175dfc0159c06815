import { GevulotError } from "gevulot-sdk";
import { parseTransaction, type Transaction } from "gevulot-sdk/protocol";
import { z } from "zod";
import type { Intake } from "../intake/intake.ts";
import { defineMethod, type Method, parserOf } from "./method.ts";
import { transaction } from "./wireSchemas.ts";

/** Ten years: what a date of the database can take. */
const MAX_DEADLINE_MS = 10 * 366 * 24 * 3_600_000;

const schema = z.object({
  transaction,
  deadlineMs: z.int().min(1).max(MAX_DEADLINE_MS).describe("from when the Run is stored to its end"),
});
const parseOptions = parserOf(schema.pick({ deadlineMs: true }));

interface Parameter {
  readonly tx: Transaction;
  readonly deadlineMs: number;
}

/** `sendTransaction`, and the same of a Run with how long it may take here: a transaction has no place for that. */
export function createSendMethods(intake: Pick<Intake, "accept">) {
  return {
    sendTransaction: defineMethod({
      summary: "Verifies a transaction, fetches its files, stores it; then answers",
      parameter: { name: "transaction", schema: transaction },
      result: { name: "stored", schema: z.null() },
      parse: parseTransaction,
      run: async (tx) => {
        await intake.accept(tx);
        return null;
      },
    }),
    sendRun: createSendRun(intake),
  };
}

function createSendRun(intake: Pick<Intake, "accept">): Method {
  return defineMethod<Parameter>({
    summary: "As sendTransaction, of a Run, which fails if it has not ended after so long",
    parameter: { name: "run", schema },
    result: { name: "stored", schema: z.null() },
    parse: (parameter) => {
      const { deadlineMs } = parseOptions(parameter);
      const tx = parseTransaction((parameter as { transaction: unknown }).transaction);
      if (tx.payload.kind === "run") return { tx, deadlineMs };
      throw new GevulotError(
        "PARAMETER_INVALID",
        `transaction: it is a ${tx.payload.kind}, and only a Run has a deadline; send it by sendTransaction`,
        { context: { path: "transaction" } },
      );
    },
    run: async ({ tx, deadlineMs }) => {
      await intake.accept(tx, { runDeadlineMs: deadlineMs });
      return null;
    },
  });
}
