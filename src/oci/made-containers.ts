import { type Identity, isStill } from "./store.ts";

/** The containers that this server has made, for as long as they are there. */
export class MadeContainers {
  readonly #directories = new Map<string, Identity>();

  add(directory: string, identity: Identity): void {
    this.#directories.set(directory, identity);
  }

  delete(directory: string): void {
    this.#directories.delete(directory);
  }

  /** Others may have deleted some. */
  get isEmpty(): boolean {
    for (const [directory, identity] of this.#directories) {
      if (isStill(directory, identity)) return false;
      this.#directories.delete(directory);
    }
    return true;
  }
}
