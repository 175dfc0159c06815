export interface DisposeStack extends AsyncDisposable {
  /** Adds what is disposed of with the stack, and gives it back. */
  use<T extends AsyncDisposable>(resource: T): T;
  defer(work: () => Promise<void> | void): void;
  /** Hands everything to a new stack: the old one disposes of nothing any more. */
  move(): DisposeStack;
}

/**
 * What Node 20 lacks: an AsyncDisposableStack. Disposes in reverse order, tries everything, and throws one
 * AggregateError where more than one failed. A factory that fails half-way undoes itself by `await using`.
 */
export function createStack(initial: readonly (() => Promise<void> | void)[] = []): DisposeStack {
  let items = [...initial];
  return {
    use(resource) {
      items.push(() => resource[Symbol.asyncDispose]() as Promise<void>);
      return resource;
    },
    defer: (work) => void items.push(work),
    move() {
      const moved = createStack(items);
      items = [];
      return moved;
    },
    async [Symbol.asyncDispose]() {
      const errors: unknown[] = [];
      for (let item = items.pop(); item; item = items.pop()) {
        try {
          await item();
        } catch (error) {
          errors.push(error);
        }
      }
      if (errors.length === 1) throw errors[0];
      if (errors.length > 1) throw new AggregateError(errors, "several parts failed to stop");
    },
  };
}
