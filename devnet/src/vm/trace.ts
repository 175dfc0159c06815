import { EXEC_FOLDER } from "../image/execProgram.ts";

/** In the workspace of a task that is traced: written by the guest's init. */
export const TRACE_FILE = `${EXEC_FOLDER}/trace`;

/** Tells the guest's init to trace the program; see guest/init.sh. */
export const traceCmdline = " gv.trace";
