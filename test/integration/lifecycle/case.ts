import type { Runtime } from "./runtimes.ts";
import type { Scene } from "./scene.ts";

/** One test, and on which runtimes it makes sense. */
export interface Case {
  readonly name: string;
  readonly on?: readonly Runtime["name"][];
  run(scene: Scene, runtime: Runtime): Promise<void>;
}
