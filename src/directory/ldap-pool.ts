/** Connections to an LDAP server: bound, secured, bounded, and thrown away as soon as one of them fails. */
import { connect as netConnect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { Client, ResultCodeError } from 'ldapts';
import { VserverError } from '../base/errors.ts';
import type { Timers } from '../base/ports.ts';

/** OpenLDAP hangs up where more than 100 requests wait on an anonymous connection (conn_max_pending). */
const IN_FLIGHT_MAX_PER_CONNECTION = 96;
const RETRY_AFTER = 5;
const BINDS_MAX = 8;
const BINDS_WAITING_MAX = 256;

export interface PoolOptions {
  /** `ldap://host:port` or `ldaps://host:port`; a path is not looked at. */
  readonly url: string;
  /** '' binds anonymously. */
  readonly bindDn: string;
  readonly password: string;
  readonly startTls: boolean;
  readonly tls?: ConnectionOptions;
  readonly timers: Timers;
  readonly deadlineMs: number;
  readonly connectionsMax: number;
}

export interface LdapPool {
  /**
   * One operation on a bound connection, many of which share a connection. Rejects with ldapts' ResultCodeError
   * where the server answered no, DIRECTORY_UNAVAILABLE where it could not be asked, OVERLOADED.
   */
  use<T>(operation: (client: Client) => Promise<T>): Promise<T>;
  /** A bound connection for one caller, for as long as he reads from it. */
  lease(): Promise<Client>;
  /**
   * Whether the server takes this password; '' never does (RFC 4513 section 5.1.2). Each bind has a connection of its
   * own, so only a few run at once and only so many wait for one of them: OVERLOADED beyond.
   */
  bindAs(dn: string, password: string): Promise<boolean>;
  close(): void;
}

interface Slot {
  readonly ready: Promise<Connection>;
  inFlight: number;
}

interface Connection {
  readonly client: Client;
  /** Holds back what the running turn writes, so that it goes out in one system call when the turn ends. */
  readonly gather: () => void;
}

export function ldapPool(options: PoolOptions): LdapPool {
  const { connectionsMax, deadlineMs, timers } = options;
  const slots = new Set<Slot>();
  let waiting = 0;
  let closed = false;
  const inTurn = turns();

  const discard = (slot: Slot): void => {
    slots.delete(slot);
    slot.ready.then(
      ({ client }) => hangUp(client),
      () => undefined,
    );
  };

  const pick = picking(slots, options);

  const run = async <T>(slot: Slot, operation: (client: Client) => Promise<T>): Promise<T> => {
    slot.inFlight++;
    try {
      const { client, gather } = await slot.ready;
      if (!client.isConnected) throw new Error('the connection was closed');
      gather();
      return await operation(client);
    } catch (error) {
      if (!(error instanceof ResultCodeError)) discard(slot);
      throw error;
    } finally {
      slot.inFlight--;
    }
  };

  const use = async <T>(operation: (client: Client) => Promise<T>): Promise<T> => {
    if (closed) throw unavailable(new Error('closed'));
    if (waiting >= connectionsMax * IN_FLIGHT_MAX_PER_CONNECTION)
      throw new VserverError('OVERLOADED', undefined, { retryAfter: 1 });
    waiting++;
    try {
      const slot = await freshSlot(pick, discard);
      return await withDeadline(run(slot, operation), deadlineMs, timers, () => discard(slot));
    } catch (error) {
      throw error instanceof ResultCodeError || error instanceof VserverError ? error : unavailable(error);
    } finally {
      waiting--;
    }
  };

  return {
    use,
    async lease() {
      try {
        return (await dial(options, options.bindDn, options.password)).client;
      } catch (error) {
        throw unavailable(error);
      }
    },
    async bindAs(dn, password) {
      if (dn === '' || password === '') return false;
      let late = false;
      const bind = async (): Promise<void> => {
        // Nobody waits for the answer any more.
        if (late) return;
        hangUp((await dial(options, dn, password)).client);
      };
      try {
        await withDeadline(inTurn(bind), deadlineMs, timers, () => {
          late = true;
        });
        return true;
      } catch (error) {
        if (error instanceof VserverError) throw error;
        // 48: inappropriateAuthentication, 49: invalidCredentials, 32: noSuchObject, 53: the account is locked.
        if (error instanceof ResultCodeError && [32, 48, 49, 53].includes(error.code)) return false;
        throw unavailable(error);
      }
    },
    close() {
      closed = true;
      for (const slot of slots) discard(slot);
    },
  };
}

export function unavailable(cause: unknown): VserverError {
  return new VserverError('DIRECTORY_UNAVAILABLE', undefined, { cause, retryAfter: RETRY_AFTER });
}

/** Runs BINDS_MAX at once, the others in the order in which they came. */
function turns(): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (waiting.length >= BINDS_WAITING_MAX) throw new VserverError('OVERLOADED', undefined, { retryAfter: 1 });
    if (running < BINDS_MAX) running++;
    // Who ends hands his place on, so nobody can slip in between.
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

/** What one turn of the event loop asks goes over one connection, the least busy one: that is one write. */
function picking(slots: Set<Slot>, options: PoolOptions): () => Slot {
  const leastBusy = (): Slot => {
    let best: Slot | undefined;
    for (const slot of slots) if (best === undefined || slot.inFlight < best.inFlight) best = slot;
    if (best !== undefined && (best.inFlight === 0 || slots.size >= options.connectionsMax)) return best;
    const slot: Slot = { ready: dial(options, options.bindDn, options.password), inFlight: 0 };
    slots.add(slot);
    return slot;
  };
  let ofThisTurn: Slot | undefined;
  return () => {
    const current = ofThisTurn;
    if (current !== undefined && slots.has(current) && current.inFlight < IN_FLIGHT_MAX_PER_CONNECTION) return current;
    if (current === undefined) process.nextTick(() => (ofThisTurn = undefined));
    ofThisTurn = leastBusy();
    return ofThisTurn;
  };
}

/** A slot whose connection still stands: one that the server closed while it was idle is replaced. */
async function freshSlot(pick: () => Slot, discard: (slot: Slot) => void): Promise<Slot> {
  const slot = pick();
  if (slot.inFlight > 0) return slot;
  slot.inFlight++;
  const connection = await slot.ready.catch(() => null).finally(() => slot.inFlight--);
  if (connection?.client.isConnected === true) return slot;
  discard(slot);
  if (connection === null) await slot.ready;
  return pick();
}

/** Connects, secures and binds, all of it within the deadline. */
async function dial(options: PoolOptions, bindDn: string, password: string): Promise<Connection> {
  const { url, startTls, tls = {}, deadlineMs, timers } = options;
  const { hostname } = new URL(url);
  const secured = { servername: /^[\d.]+$|:/.test(hostname) ? '' : hostname, host: hostname, ...tls };
  let dialled: Socket | undefined;
  // ldapts reconnects by itself, as anonymous: a connection of the pool is made once and never again.
  const once = <S extends Socket>(open: () => S): S => {
    if (dialled !== undefined) throw new Error('the connection was closed');
    const socket = open();
    dialled = socket;
    return socket;
  };
  const client = new Client({
    url,
    // The deadlines are ours: a timer of its own for each request would only cost time.
    timeout: 0,
    connectTimeout: deadlineMs,
    createConnection: ((port: number, host: string) => once(() => netConnect(port, host))) as typeof netConnect,
    ...(url.startsWith('ldaps:') && {
      tlsOptions: secured,
      createSecureConnection: ((port: number, host: string, to: ConnectionOptions) =>
        once(() => tlsConnect(port, host, to))) as typeof tlsConnect,
    }),
  });
  const open = async (): Promise<Connection> => {
    if (startTls) await client.startTLS({ ...secured });
    await client.bind(bindDn, password);
    return { client, gather: gathering(dialled) };
  };
  try {
    return await withDeadline(open(), deadlineMs, timers, () => undefined);
  } catch (error) {
    hangUp(client);
    throw error;
  }
}

/** Under StartTLS what is written passes the socket by, and goes out piece by piece. */
function gathering(socket: Socket | undefined): () => void {
  let isGathering = false;
  const end = (): void => {
    isGathering = false;
    socket?.uncork();
  };
  return () => {
    if (isGathering) return;
    isGathering = true;
    socket?.cork();
    // After the promises of this turn: one answer of the server lets many go on.
    process.nextTick(end);
  };
}

function hangUp(client: Client): void {
  client.unbind().catch(() => undefined);
}

function withDeadline<T>(work: Promise<T>, deadlineMs: number, timers: Timers, late: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = timers.after(deadlineMs, () => {
      late();
      reject(new Error('no answer within the deadline'));
    });
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
