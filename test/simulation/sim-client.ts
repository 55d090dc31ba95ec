/** A softphone of the simulation: logs in, keeps its session alive, follows redirects, tries others when nobody answers. */
import type { Status } from '../../src/base/model.ts';
import type { Core } from '../../src/core.ts';
import type { LoginRequest } from '../../src/login/login.ts';
import { HOPS_MAX } from '../../src/redirect/admission.ts';
import { issueTicket, sentOn } from '../../src/redirect/tickets.ts';
import type { Shared, SimNode } from './sim-node.ts';

const ANSWER_MS = 3_000;
export const HEARTBEAT_MS = 10_000;

export interface ClientWorld extends Shared {
  readonly nodes: readonly SimNode[];
  /** Probability that a message between client and node is lost. */
  clientLoss: number;
}

type Answer =
  | { readonly kind: 'welcome'; readonly cookie: string }
  | { readonly kind: 'redirect'; readonly to: string; readonly ticket: string }
  | { readonly kind: 'refused' };

export class SimClient {
  readonly uid: string;
  readonly #instance: string;
  readonly #world: ClientWorld;
  readonly #source: { readonly host: string; readonly port: number };
  wants = false;
  /** The node that has its session, as far as it knows. */
  node: SimNode | null = null;
  cookie = '';
  /** When the node last said that the session is good. */
  confirmedAtMs = -Infinity;
  #attempt = 0;
  #unanswered = 0;

  constructor(world: ClientWorld, uid: string, number: number) {
    this.#world = world;
    this.uid = uid;
    this.#instance = `device${number}`;
    this.#source = { host: `10.0.0.${number}`, port: 5_000 };
  }

  /** The user switches it on, at any node; what was before is forgotten. */
  begin(): void {
    this.wants = true;
    this.node = null;
    this.#tryAgain(0);
  }

  /** Without a word. */
  vanish(): void {
    this.wants = false;
    this.node = null;
    this.#attempt++;
  }

  logout(): void {
    const { node, cookie } = this;
    this.vanish();
    if (node === null) return;
    this.#send(node, (core) => {
      const row = core.table.findOpen(cookie);
      if (row >= 0) core.cases.logout(row);
    });
  }

  /** What the node does not hear is lost. */
  say(status: Status): void {
    const { node, cookie } = this;
    if (node === null) return;
    this.#send(node, (core) => {
      const row = core.table.findOpen(cookie);
      if (row >= 0) core.cases.heard(row, { status });
    });
  }

  /** `Error 409` of the session with this cookie. */
  told409(cookie: string): void {
    const { time, chance } = this.#world;
    time.after(chance.between(1, 50), () => {
      if (this.cookie === cookie && this.node !== null) this.vanish();
    });
  }

  #tryAgain(delayMs: number, at?: SimNode): void {
    const attempt = ++this.#attempt;
    const { time, chance, nodes } = this.#world;
    time.after(delayMs, () => {
      if (attempt === this.#attempt) this.#login(at ?? chance.pick(nodes), null, 0);
    });
  }

  #login(node: SimNode, ticket: string | null, redirects: number): void {
    const attempt = ++this.#attempt;
    const { time, chance, nodes, history } = this.#world;
    this.node = null;
    time.after(ANSWER_MS, () => {
      if (attempt === this.#attempt && this.node === null) this.#tryAgain(chance.between(100, 1_000));
    });
    this.#ask(
      node,
      (core) => this.#atNode(core, node, ticket),
      (answer) => {
        if (attempt !== this.#attempt) return;
        if (answer.kind === 'welcome') {
          this.node = node;
          this.cookie = answer.cookie;
          this.confirmedAtMs = time.now;
          this.#unanswered = 0;
          this.#beatLater(attempt);
        } else if (answer.kind === 'redirect') {
          const to = nodes.find(({ name }) => name === answer.to);
          if (redirects >= HOPS_MAX) history.violations.push(`${this.uid}: redirected ${redirects + 1} times in a row`);
          if (to !== undefined) this.#login(to, answer.ticket, redirects + 1);
        } else this.#tryAgain(chance.between(500, 2_000));
      },
    );
  }

  async #atNode(core: Core, node: SimNode, ticket: string | null): Promise<Answer> {
    const { config, history, time, nodes } = this.#world;
    const nowMs = core.cases.clock.now();
    const sent = sentOn(config.clusterKey, ticket, { server: node.name, uid: this.uid }, nowMs);
    const request: LoginRequest = {
      ...{ uid: this.uid, source: this.#source, local: null, firewall: 'none', status: 'online', note: '', device: '' },
      ...{ instance: this.#instance, contact: '', registration: '' },
      credential: { kind: 'digest', algorithm: 'SHA-256', isGood: () => true },
      ...sent,
    };
    const outcome = await core.cases.login(request).catch(() => null);
    if (outcome === null || outcome.kind === 'denied') return { kind: 'refused' };
    if (outcome.kind === 'welcome') {
      history.entered(node.name, this.uid, time.now);
      return { kind: 'welcome', cookie: outcome.cookie };
    }
    const to = outcome.to.name;
    const target = nodes.find(({ name }) => name === to);
    if (to === node.name || sent.sentBy(to))
      history.violations.push(`${this.uid}: ${node.name} sent him back to ${to}`);
    if (target?.isAlive !== true && time.now - (target?.diedAtMs ?? 0) > KNOWN_DEAD_MS) {
      history.violations.push(`${this.uid}: ${node.name} sent him to ${to}, which is dead`);
    }
    const hops = Math.min(sent.hops + 1, HOPS_MAX);
    const about = { purpose: 'login', asker: this.uid, target: this.uid, server: to, issuer: node.name, hops } as const;
    return { kind: 'redirect', to, ticket: issueTicket(config.clusterKey, about, nowMs) };
  }

  #beatLater(attempt: number): void {
    this.#world.time.after(HEARTBEAT_MS, () => {
      const { node } = this;
      if (attempt !== this.#attempt || node === null) return;
      // Nothing for half a minute: it is dead.
      if (this.#unanswered++ === 3) this.#tryAgain(0);
      else {
        this.#beat(node, attempt);
        this.#beatLater(attempt);
      }
    });
  }

  #beat(node: SimNode, attempt: number): void {
    const { cookie } = this;
    const heard = (core: Core): Promise<{ readonly known: boolean; readonly to: string | undefined }> => {
      const row = core.table.findOpen(cookie);
      if (row >= 0) core.cases.heard(row);
      const to = row >= 0 ? core.servers.successor()?.name : undefined;
      return Promise.resolve({ known: row >= 0, to });
    };
    this.#ask(node, heard, ({ known, to }) => {
      if (attempt !== this.#attempt || this.node !== node) return;
      this.#unanswered = 0;
      if (!known) this.#tryAgain(0, node);
      else if (to !== undefined)
        this.#tryAgain(
          0,
          this.#world.nodes.find(({ name }) => name === to),
        );
      else this.confirmedAtMs = this.#world.time.now;
    });
  }

  #send(node: SimNode, run: (core: Core) => void): void {
    const { time, chance, clientLoss } = this.#world;
    if (chance.happens(clientLoss)) return;
    time.after(chance.happens(0.02) ? 1_000 : chance.between(1, 40), () => node.receive(run));
  }

  #ask<T>(node: SimNode, run: (core: Core) => Promise<T>, onAnswer: (answer: T) => void): void {
    const { time, chance } = this.#world;
    this.#send(node, (core) => {
      void run(core).then((answer) => {
        if (!chance.happens(this.#world.clientLoss)) time.after(chance.between(1, 40), () => onAnswer(answer));
      });
    });
  }
}

/** 15 s of silence, a renewal late, and what was on its way. */
const KNOWN_DEAD_MS = 25_000;
