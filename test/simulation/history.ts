/** What really happened, against which the answers of the nodes are held. */
import type { Location } from '../../src/base/model.ts';

interface Span {
  readonly fromMs: number;
  /** Infinity while it holds. */
  toMs: number;
}

interface Written extends Span {
  readonly server: string | null;
  readonly epoch: number;
}

export class History {
  readonly violations: string[] = [];
  readonly #written = new Map<string, Written[]>();
  readonly #inMemory = new Map<string, Span[]>();
  readonly #lastLogin = new Map<string, { readonly epoch: number; readonly server: string | null }>();

  /** The directory took a location over. */
  wrote(uid: string, { server, epoch }: Location, nowMs: number): void {
    const all = this.#written.get(uid) ?? [];
    const last = all.at(-1);
    const before = last ?? { epoch: 0 };
    if (last !== undefined) last.toMs = nowMs;
    all.push({ fromMs: nowMs, toMs: Infinity, server: server?.name ?? null, epoch });
    this.#written.set(uid, all);
    if (epoch < before.epoch || epoch > before.epoch + 1) {
      this.violations.push(`${uid}: the epoch went from ${before.epoch} to ${epoch}`);
    }
    if (epoch === before.epoch + 1) this.#lastLogin.set(uid, { epoch, server: server?.name ?? null });
    // At one epoch there is one owner, or nobody.
    const owner = this.#lastLogin.get(uid);
    if (server !== null && owner !== undefined && server.name !== owner.server) {
      this.violations.push(`${uid}: ${server.name} owns him at epoch ${epoch}, which is of ${String(owner.server)}`);
    }
  }

  lastLogin(uid: string): { readonly epoch: number; readonly server: string | null } | undefined {
    return this.#lastLogin.get(uid);
  }

  entered(node: string, uid: string, nowMs: number): void {
    const spans = this.#inMemory.get(`${node} ${uid}`) ?? [];
    if (spans.at(-1)?.toMs === Infinity) return;
    spans.push({ fromMs: nowMs, toMs: Infinity });
    this.#inMemory.set(`${node} ${uid}`, spans);
  }

  left(node: string, uid: string, nowMs: number): void {
    const last = this.#inMemory.get(`${node} ${uid}`)?.at(-1);
    if (last?.toMs === Infinity) last.toMs = nowMs;
  }

  /** The node forgot everybody. */
  crashed(node: string, nowMs: number): void {
    for (const [key, spans] of this.#inMemory) {
      const last = spans.at(-1);
      if (key.startsWith(`${node} `) && last?.toMs === Infinity) last.toMs = nowMs;
    }
  }

  wasInMemory(node: string, uid: string, fromMs: number, toMs: number): boolean {
    return (this.#inMemory.get(`${node} ${uid}`) ?? []).some((span) => span.fromMs <= toMs && span.toMs >= fromMs);
  }

  /** The servers that the directory named in that time; null for nobody. */
  named(uid: string, fromMs: number, toMs: number): ReadonlySet<string | null> {
    const all = this.#written.get(uid) ?? [];
    const then = all.filter((one) => one.fromMs <= toMs && one.toMs >= fromMs).map(({ server }) => server);
    const first = all[0];
    return new Set(first === undefined || first.fromMs > fromMs ? [null, ...then] : then);
  }
}
