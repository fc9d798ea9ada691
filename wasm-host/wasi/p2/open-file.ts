import { closedByOwner, closeWhenForgotten } from "../../forgotten.ts";
import type { Files } from "./files.ts";

/**
 * A descriptor of the kernel that several holders share: the guest's descriptor, which is the first, and streams that read or write it. The
 * last to release it closes it, so that no stream reads what another file has become by the same number.
 */
export class OpenFile {
  readonly fd: number;
  readonly #files: Files | undefined;
  #holders = 1;

  /** @param files closes it; undefined: it is somebody else's, who keeps it open */
  constructor(fd: number, files: Files | undefined) {
    this.fd = fd;
    this.#files = files;
    if (files !== undefined) closeWhenForgotten(this, () => files.close(fd));
  }

  /** Another holder; what is returned releases it. */
  hold(): () => void {
    this.#holders++;
    return () => this.release();
  }

  release(): void {
    if (--this.#holders > 0 || this.#files === undefined) return;
    closedByOwner(this);
    this.#files.close(this.fd);
  }
}
