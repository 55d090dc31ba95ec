/** Connections to an LDAP server: bound, secured, bounded, and thrown away as soon as one of them fails. */
import { once } from 'node:events';
import { connect as netConnect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { BindRequest, ExtendedRequest, ResultCodeError } from 'ldapts';
import { VserverError } from '../base/errors.ts';
import type { Timers } from '../base/ports.ts';
import { ldapConnection } from './ldap-connection.ts';
import type { LdapConnection } from './ldap-connection.ts';

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
  use<T>(operation: (connection: LdapConnection) => Promise<T>): Promise<T>;
  /** A bound connection for one caller, who closes it. */
  lease(): Promise<LdapConnection>;
  /**
   * Whether the server takes this password; '' never does (RFC 4513 section 5.1.2). Each bind has a connection of its
   * own, so only a few run at once and only so many wait for one of them: OVERLOADED beyond.
   */
  bindAs(dn: string, password: string): Promise<boolean>;
  close(): void;
}

interface Slot {
  readonly ready: Promise<LdapConnection>;
  /** As soon as it is there. */
  connection: LdapConnection | undefined;
  inFlight: number;
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
      (connection) => connection.close(),
      () => undefined,
    );
  };

  /** One that is late: what others asked on it is answered by the time that it is closed, or is late too. */
  const retire = (slot: Slot): void => {
    if (slots.delete(slot)) timers.after(deadlineMs, () => discard(slot));
  };

  const pick = picking(slots, options);

  const run = async <T>(slot: Slot, operation: (connection: LdapConnection) => Promise<T>): Promise<T> => {
    slot.inFlight++;
    try {
      return await operation(await slot.ready);
    } catch (error) {
      if (!(error instanceof ResultCodeError)) discard(slot);
      throw error;
    } finally {
      slot.inFlight--;
    }
  };

  const use = async <T>(operation: (connection: LdapConnection) => Promise<T>): Promise<T> => {
    if (closed) throw unavailable(new Error('closed'));
    if (waiting >= connectionsMax * IN_FLIGHT_MAX_PER_CONNECTION)
      throw new VserverError('OVERLOADED', undefined, { retryAfter: 1 });
    waiting++;
    try {
      const slot = pick();
      return await withDeadline(run(slot, operation), deadlineMs, timers, () => retire(slot));
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
        return await dial(options, options.bindDn, options.password);
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
        (await dial(options, dn, password)).close();
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
    for (const slot of slots) {
      // The server closed it while it was idle.
      if (isGone(slot)) slots.delete(slot);
      else if (best === undefined || slot.inFlight < best.inFlight) best = slot;
    }
    if (best !== undefined && (best.inFlight === 0 || slots.size >= options.connectionsMax)) return best;
    const ready = dial(options, options.bindDn, options.password);
    const slot: Slot = { ready, connection: undefined, inFlight: 0 };
    slots.add(slot);
    ready.then(
      (connection) => (slot.connection = connection),
      () => slots.delete(slot),
    );
    return slot;
  };
  let ofThisTurn: Slot | undefined;
  return () => {
    const current = ofThisTurn;
    const isUsable = current !== undefined && slots.has(current) && !isGone(current);
    if (isUsable && current.inFlight < IN_FLIGHT_MAX_PER_CONNECTION) return current;
    if (current === undefined) process.nextTick(() => (ofThisTurn = undefined));
    ofThisTurn = leastBusy();
    return ofThisTurn;
  };
}

function isGone({ connection }: Slot): boolean {
  return connection?.isOpen === false;
}

/** Connects, secures and binds, all of it within the deadline. */
async function dial(options: PoolOptions, bindDn: string, password: string): Promise<LdapConnection> {
  const { startTls, tls = {}, deadlineMs, timers } = options;
  const url = new URL(options.url);
  const isTls = url.protocol === 'ldaps:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (isTls ? 636 : 389) : Number(url.port);
  const secured = { servername: isIP(host) === 0 ? host : '', host, ...tls };
  let socket: Socket = isTls ? tlsConnect({ port, ...secured }) : netConnect(port, host);
  // What one turn asks is one write: to wait for the answer to the write before would only delay it.
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 30_000);
  const open = async (): Promise<LdapConnection> => {
    await once(socket, isTls ? 'secureConnect' : 'connect');
    if (startTls) {
      const plain = ldapConnection(socket);
      await plain.send((messageId) => new ExtendedRequest({ messageId, oid: START_TLS }).write());
      plain.release();
      socket = tlsConnect({ socket, ...secured });
      await once(socket, 'secureConnect');
    }
    const connection = ldapConnection(socket);
    await connection.send((messageId) => new BindRequest({ messageId, dn: bindDn, password }).write());
    return connection;
  };
  try {
    return await withDeadline(open(), deadlineMs, timers, () => undefined);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
/** RFC 4511 section 4.14.1. */
const START_TLS = '1.3.6.1.4.1.1466.20037';

function withDeadline<T>(work: Promise<T>, deadlineMs: number, timers: Timers, late: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = timers.after(deadlineMs, () => {
      late();
      reject(new Error('no answer within the deadline'));
    });
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
