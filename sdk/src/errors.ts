/**
 * What each error code carries. Packages add their own codes by declaration merging, next to the code that
 * throws them:
 *
 * ```ts
 * declare module "gevulot-sdk/errors" {
 *   interface ErrorContexts { IMAGE_NO_PROGRAM: { path: string } }
 * }
 * ```
 *
 * By that path, not by "gevulot-sdk": TypeScript loses one half when an interface is widened under two module names.
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging, a code where it is thrown.
export interface ErrorContexts {}

export type ErrorCode = keyof ErrorContexts;

export interface GevulotErrorOptions<C extends ErrorCode> {
  /** Facts about this one occurrence, typed by the code. */
  readonly context: ErrorContexts[C];
  readonly cause?: unknown;
}

/**
 * The one error class of all Gevulot packages. `code` is stable; `message` says what was wrong, and then what to
 * do about it.
 */
export class GevulotError<C extends ErrorCode = ErrorCode> extends Error {
  readonly code: C;
  readonly context: ErrorContexts[C];

  constructor(code: C, message: string, options: GevulotErrorOptions<C>) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "GevulotError";
    this.code = code;
    this.context = options.context;
  }
}

/** Narrows an unknown value to a {@link GevulotError}, of one code if one is given. */
export function isGevulotError<C extends ErrorCode = ErrorCode>(
  error: unknown,
  code?: C,
): error is GevulotError<C> {
  return error instanceof GevulotError && (code === undefined || error.code === code);
}
