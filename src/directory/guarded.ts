/** The guard around a directory: deadlines, a bound on what is in flight, and a circuit breaker. */
import { isUnavailable, VserverError } from '../base/errors.ts';
import type { Clock, Log, Timer, Timers } from '../base/ports.ts';
import type { Directory } from './directory.ts';
import type { MessageStore } from './message-store.ts';

const FAILURES_TO_OPEN = 3;
/** Seconds: by then the probe has found a directory that is back. */
const RETRY_AFTER = 5;
const BATCH_DEADLINE_MS = 60_000;

export interface Health {
  readonly up: boolean;
  /** Epoch milliseconds of the last change of `up`. */
  readonly since: number;
  /** Why the directory could not be asked the last time; '' where that never happened. Holds no secret. */
  readonly lastError: string;
}

export type GuardedDirectory = Directory & { health(): Health };

interface GuardOptions {
  readonly timers: Timers;
  readonly clock: Clock;
  readonly log: Log;
  readonly deadlineMs?: number;
  readonly inFlightMax?: number;
  readonly probePeriodMs?: number;
}

/**
 * Every operation of `inner` with a deadline and a bound on how many run at once. After a few failures in a row all
 * of them fail at once with DIRECTORY_UNAVAILABLE, until a ping, tried each `probePeriodMs`, is answered.
 */
export function guarded(inner: Directory, options: GuardOptions): GuardedDirectory {
  const { timers, deadlineMs = 2_000, inFlightMax = 1_024 } = options;
  const breaker = circuitBreaker(inner, { ...options, deadlineMs });
  let inFlight = 0;

  const guard = async <T>(operation: () => Promise<T>, withinMs = deadlineMs, whenDown = false): Promise<T> => {
    if (!breaker.health().up && !whenDown) throw unavailable();
    if (inFlight >= inFlightMax) throw new VserverError('OVERLOADED', undefined, { retryAfter: 1 });
    inFlight++;
    try {
      const answer = await withDeadline(operation, withinMs, timers);
      breaker.succeeded();
      return answer;
    } catch (error) {
      const failure = asFailure(error);
      if (failure.code === 'DIRECTORY_UNAVAILABLE') breaker.failed(failure);
      throw failure;
    } finally {
      inFlight--;
    }
  };

  return {
    description: inner.description,
    health: () => breaker.health(),
    find: (uid, suffices) => guard(() => inner.find(uid, suffices)),
    peek: (uids, suffices) => guard(() => inner.peek(uids, suffices)),
    checkPassword: (user, password) => guard(() => inner.checkPassword(user, password)),
    search: (query) => guard(() => inner.search(query)),
    regions: () => guard(() => inner.regions()),
    create: (user) => guard(() => inner.create(user)),
    change: (uid, changes) => guard(() => inner.change(uid, changes)),
    remove: (uid) => guard(() => inner.remove(uid)),
    writeLocation: (uid, location, epoch) => guard(() => inner.writeLocation(uid, location, epoch)),
    owned: (server, limit, after) => guard(() => inner.owned(server, limit, after)),
    messages: inner.messages && guardedMessages(inner.messages, guard),
    servers: () => guard(() => inner.servers()),
    writeServer: (record) => guard(() => inner.writeServer(record)),
    removeServer: (name) => guard(() => inner.removeServer(name)),
    variable: (name) => guard(() => inner.variable(name)),
    writeVariable: (name, value) => guard(() => inner.writeVariable(name, value)),
    apply: (batch, stopAtFailure) => guard(() => inner.apply(batch, stopAtFailure), BATCH_DEADLINE_MS),
    entries() {
      if (!breaker.health().up) throw unavailable();
      return inner.entries();
    },
    ping: () => guard(() => inner.ping()),
    // Without its tables everything else may fail and keep the circuit open.
    migrate: () => guard(() => inner.migrate(), BATCH_DEADLINE_MS, true),
    check: () => guard(() => inner.check(), BATCH_DEADLINE_MS),
    async close() {
      breaker.close();
      await inner.close();
    },
  };
}

function guardedMessages(inner: MessageStore, guard: <T>(operation: () => Promise<T>) => Promise<T>): MessageStore {
  return {
    add: (message, sinceMs) => guard(() => inner.add(message, sinceMs)),
    list: (to, after, sinceMs) => guard(() => inner.list(to, after, sinceMs)),
    recipientsAmong: (uids) => guard(() => inner.recipientsAmong(uids)),
    remove: (to, number) => guard(() => inner.remove(to, number)),
    recent: (after) => guard(() => inner.recent(after)),
    removeBefore: (sentAt) => guard(() => inner.removeBefore(sentAt)),
  };
}

interface Breaker {
  health(): Health;
  succeeded(): void;
  failed(failure: VserverError): void;
  close(): void;
}

function circuitBreaker(inner: Directory, options: GuardOptions & { deadlineMs: number }): Breaker {
  const { timers, clock, log, deadlineMs, probePeriodMs = 1_000 } = options;
  let health: Health = { up: true, since: clock.now(), lastError: '' };
  let failuresInRow = 0;
  let probing: Timer | null = null;
  let asked = false;

  const probe = (): void => {
    // One ping at a time: pings into a server that hangs must not pile up.
    if (asked) return;
    asked = true;
    withDeadline(() => inner.ping(), deadlineMs, timers)
      .then(shut, (error: unknown) => {
        health = { ...health, lastError: reasonOf(asFailure(error)) };
      })
      .finally(() => {
        asked = false;
      });
  };
  /** Electricians' words: shut lets the current through. */
  const shut = (): void => {
    failuresInRow = 0;
    if (probing === null) return;
    probing.cancel();
    probing = null;
    log.info({ directory: inner.description, downMs: clock.now() - health.since }, 'directory is back');
    health = { ...health, up: true, since: clock.now() };
  };

  return {
    health: () => health,
    succeeded() {
      failuresInRow = 0;
    },
    failed(failure) {
      health = { ...health, lastError: reasonOf(failure) };
      if (++failuresInRow < FAILURES_TO_OPEN || probing !== null) return;
      const reason = reasonOf(failure);
      health = { up: false, since: clock.now(), lastError: reason };
      log.error({ directory: inner.description, code: failure.code, reason }, 'directory down, trying each second');
      probing = timers.every(probePeriodMs, probe);
    },
    close() {
      probing?.cancel();
      probing = null;
    },
  };
}

/** The operation goes on past its deadline, but nobody waits for it any more. */
function withDeadline<T>(operation: () => Promise<T>, withinMs: number, timers: Timers): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = timers.after(withinMs, () => reject(unavailable(`no answer within ${withinMs} ms`)));
    started(operation).then(
      (answer) => {
        timer.cancel();
        resolve(answer);
      },
      (error: unknown) => {
        timer.cancel();
        reject(asFailure(error));
      },
    );
  });
}

/** What a backend throws before its promise exists is a rejection like any other. */
async function started<T>(operation: () => Promise<T>): Promise<T> {
  return operation();
}

/**
 * An error without a code is a mistake of the backend, not a directory that is down: one bad record must not open
 * the circuit. Its text may hold anything, so it goes into the cause only.
 */
function asFailure(error: unknown): VserverError {
  if (!(error instanceof VserverError)) return new VserverError('INTERNAL', undefined, { cause: error });
  if (!isUnavailable(error) || error.retryAfter !== undefined) return error;
  return new VserverError(error.code, error.message, { cause: error.cause ?? error, retryAfter: RETRY_AFTER });
}

/** Why, in the words of the backend and the code of the system (ECONNREFUSED), which hold no secret. */
function reasonOf({ message, cause }: VserverError): string {
  const code = cause instanceof VserverError ? undefined : (cause as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' && !message.includes(code) ? `${message} (${code})` : message;
}

function unavailable(detail?: string, cause?: unknown): VserverError {
  return new VserverError('DIRECTORY_UNAVAILABLE', detail, { cause, retryAfter: RETRY_AFTER });
}
