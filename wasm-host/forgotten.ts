const registry = new FinalizationRegistry<() => void>((close) => close());

/**
 * Has something closed that nobody can reach any more. What a guest has left open when its instance was given up is closed so: the instance may
 * still be in the middle of something, so nobody can say at once that it is not needed.
 *
 * @param close must not hold `owner`
 */
export function closeWhenForgotten(owner: object, close: () => void): void {
  registry.register(owner, close, owner);
}

/** It has been closed in the ordinary way. */
export function closedByOwner(owner: object): void {
  registry.unregister(owner);
}
