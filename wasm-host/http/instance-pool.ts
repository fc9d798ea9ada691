import type { GuestInstance, GuestProgram } from "./guests/guest-program.ts";
import type { HttpLimits } from "./limits.ts";

/** An instance, and what it has done. */
export interface PooledInstance {
  readonly guest: GuestInstance;
  /** Requests that it has been given. */
  uses: number;
  /** Requests that it answers now. */
  running: number;
  /** Since when it has had nothing to do. */
  idleSince: number;
  /** It is to answer nothing any more. */
  spent: boolean;
}

/**
 * The instances of a program. One that may be used once is made anew, or put back to its first state, before it is used again: which of
 * these makes no difference to the guest.
 */
export class InstancePool {
  readonly #program: GuestProgram;
  readonly #limits: HttpLimits;
  /** As good as new. */
  #fresh: PooledInstance[] = [];
  /** Used, and to be used again. */
  #used: PooledInstance[] = [];
  readonly #concurrency: number;

  constructor(program: GuestProgram, limits: HttpLimits) {
    this.#program = program;
    this.#limits = limits;
    this.#concurrency = program.concurrent ? limits.maxInstanceConcurrentReuseCount : 1;
  }

  /** Has one ready. @throws what a start function traps with */
  prepare(now: number): void {
    if (this.#fresh.length + this.#used.length === 0) this.#fresh.push(this.#make(now));
  }

  /** One that may be given a request. @throws what a start function traps with */
  take(now: number): PooledInstance {
    const instance =
      this.#used.findLast((one) => one.running < this.#concurrency) ?? this.#fresh.pop() ?? this.#make(now);
    instance.uses++;
    instance.running++;
    const full = instance.uses >= this.#limits.maxInstanceReuseCount || instance.running >= this.#concurrency;
    const place = this.#used.indexOf(instance);
    if (full && place >= 0) this.#used.splice(place, 1);
    if (!full && place < 0) this.#used.push(instance);
    return instance;
  }

  /** It has answered one request, or failed to. */
  release(instance: PooledInstance, now: number): void {
    instance.running--;
    if (instance.spent || instance.running >= this.#concurrency) return;
    if (instance.uses < this.#limits.maxInstanceReuseCount) {
      instance.idleSince = now;
      if (!this.#used.includes(instance)) this.#used.push(instance);
    } else if (instance.running === 0) {
      if (instance.guest.reset())
        this.#fresh.push({ guest: instance.guest, uses: 0, running: 0, idleSince: now, spent: false });
      else instance.guest.abandon();
    }
  }

  /** It has failed: nothing that it does is to be relied on. */
  discard(instance: PooledInstance): void {
    instance.spent = true;
    const place = this.#used.indexOf(instance);
    if (place >= 0) this.#used.splice(place, 1);
    instance.guest.abandon();
  }

  /** Lets go of those that have had nothing to do for long, but for one that is as new: the next request finds it ready. */
  sweep(now: number): void {
    const since = now - this.#limits.idleInstanceTimeoutMs;
    const stays = (one: PooledInstance): boolean => one.running > 0 || one.idleSince > since;
    const gone = [
      ...this.#used.filter((one) => !stays(one)),
      ...this.#fresh.filter((one, index) => index > 0 && !stays(one)),
    ];
    if (gone.length === 0) return;
    this.#used = this.#used.filter((one) => !gone.includes(one));
    this.#fresh = this.#fresh.filter((one) => !gone.includes(one));
    for (const { guest } of gone) guest.abandon();
  }

  #make(now: number): PooledInstance {
    return { guest: this.#program.instantiate(), uses: 0, running: 0, idleSince: now, spent: false };
  }
}
