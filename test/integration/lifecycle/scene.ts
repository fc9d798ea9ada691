import {
  type Containerd,
  type ContainerdOptions,
  startContainerd,
} from "../../../scripts/private-containerd/containerd.ts";
import { ContainerdClient } from "./client.ts";
import { type ContainerOptions, TestContainer } from "./container.ts";
import { type Archives, importImages, makeArchives, type Runtime } from "./runtimes.ts";

/** One containerd with the images in it, for all tests of a suite. */
export class Scene implements AsyncDisposable {
  readonly containerd: Containerd;
  readonly client: ContainerdClient;
  readonly archives: Archives;
  #count = 0;

  private constructor(containerd: Containerd, archives: Archives) {
    this.containerd = containerd;
    this.archives = archives;
    this.client = new ContainerdClient(containerd);
  }

  static async open(options: ContainerdOptions): Promise<Scene> {
    const archives = await makeArchives();
    const containerd = await startContainerd(options);
    try {
      await importImages(containerd, archives);
      return new Scene(containerd, archives);
    } catch (error) {
      await containerd.stop();
      archives[Symbol.dispose]();
      throw error;
    }
  }

  /** A container of this runtime with an id that no other test has. Nothing is made before prepare() or create(). */
  container(runtime: Runtime, options: Omit<ContainerOptions, "id" | "runtime" | "image"> & { id?: string }) {
    this.#count += 1;
    const { runtime: name, image } = runtime;
    return new TestContainer(this.client, { id: `c${this.#count}`, runtime: name, image, ...options });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.containerd.stop();
    this.archives[Symbol.dispose]();
  }
}
