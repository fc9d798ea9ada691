import { TandemError } from "../errors.ts";
import type { ExitStatus } from "../executor/executor.ts";
import type { Container } from "./container.ts";
import { type ContainerDependencies, type CreateOptions, createContainer } from "./create-container.ts";
import { reapOrphans } from "./orphans.ts";

/** The containers of one shim, by id. */
export class Registry {
  readonly #containers = new Map<string, Container>();
  /** Ids whose Create is under way: a second one must not run beside it. */
  readonly #creating = new Set<string>();
  readonly #deps: ContainerDependencies;
  #everUsed = false;
  #reaping = false;

  constructor(deps: ContainerDependencies) {
    this.#deps = deps;
  }

  get isEmpty(): boolean {
    return this.#containers.size === 0 && this.#creating.size === 0;
  }

  get everUsed(): boolean {
    return this.#everUsed;
  }

  /** @throws TandemError already_exists, or whatever keeps the container from being created. */
  async create(request: CreateOptions): Promise<Container> {
    const { id } = request;
    if (this.#containers.has(id) || this.#creating.has(id)) {
      throw new TandemError("already_exists", `container ${id}: already exists`);
    }
    this.#everUsed = true;
    this.#creating.add(id);
    try {
      const container = await createContainer(request, this.#deps);
      this.#containers.set(id, container);
      if (container.sharesPids && !this.#reaping) this.#startReaping();
      return container;
    } finally {
      this.#creating.delete(id);
    }
  }

  #startReaping(): void {
    this.#reaping = true;
    const containers = this.#containers;
    reapOrphans({
      isAwaited: (pid) => [...containers.values()].some((container) => container.awaits(pid)),
      cgroups: () => [...containers.values()].flatMap((container) => container.cgroups),
    });
  }

  find(id: string): Container | undefined {
    return this.#containers.get(id);
  }

  /** @throws TandemError not_found */
  container(id: string): Container {
    const container = this.#containers.get(id);
    if (container === undefined) throw new TandemError("not_found", `container ${id}: not found`);
    return container;
  }

  async delete(id: string, execId: string): Promise<{ readonly pid: number; readonly exit: ExitStatus }> {
    const result = await this.container(id).delete(execId);
    if (execId === "") this.#containers.delete(id);
    return result;
  }
}
