/** The wire over NATS. It reconnects for ever by itself; a node whose NATS is away goes on alone. */
import { connect, NoRespondersError, TimeoutError } from '@nats-io/transport-node';
import type { ConnectionOptions, NatsConnection } from '@nats-io/transport-node';
import type { Log, Timer, Timers } from '../base/ports.ts';
import type { Wire } from './wire.ts';

const RETRY_MS = 1_000;
const TRY_MS_MAX = 2_000;
/** A connection that is dead without a word is noticed after three of these. */
const PING_MS = 5_000;

type Subscriber = Parameters<Wire['subscribe']>[1];

/** `urls` as the settings have checked them: `nats://host:port`, `nats://user:password@host:port` or `tls://…`; several separated by commas. */
export function natsWire(urls: string, name: string, { timers, log }: { timers: Timers; log: Log }): Wire {
  const options = { ...natsOptions(urls), name: `vserver ${name}` };
  const subscribers = new Map<string, Subscriber>();
  let connection: NatsConnection | null = null;
  let isUp = false;
  let isClosed = false;
  let retry: Timer | null = null;

  const listen = (to: NatsConnection, subject: string, onMessage: Subscriber): void => {
    to.subscribe(subject, {
      callback: (error, message) => {
        if (error !== null) log.warn({ err: error, subject }, 'NATS subscription');
        else onMessage(message.data, message.reply === undefined ? null : (bytes) => void message.respond(bytes));
      },
    });
  };
  const follow = async (opened: NatsConnection): Promise<void> => {
    for await (const { type } of opened.status()) {
      const wasUp = isUp;
      if (type === 'disconnect' || type === 'staleConnection') isUp = false;
      else if (type === 'reconnect') isUp = true;
      if (wasUp && !isUp) log.warn({}, 'NATS is away: this node goes on alone');
      if (!wasUp && isUp) log.info({}, 'NATS is back');
    }
  };
  const open = async (): Promise<void> => {
    try {
      const opened = await connect(options);
      if (isClosed) {
        await opened.close();
        return;
      }
      connection = opened;
      isUp = true;
      for (const [subject, onMessage] of subscribers) listen(opened, subject, onMessage);
      log.info({ server: opened.getServer() }, 'connected to NATS');
      await follow(opened);
      // Only an end that the server made for good gets here while the node runs.
      isUp = false;
      connection = null;
    } catch (error) {
      log.debug({ err: error }, 'NATS does not answer');
    }
    if (!isClosed) retry = timers.after(RETRY_MS, () => void open());
  };
  const opening = open();

  return {
    get isUp() {
      return isUp;
    },
    publish(subject, bytes) {
      if (isUp) connection?.publish(subject, bytes);
    },
    async request(subject, bytes, withinMs) {
      if (!isUp || connection === null) return 'silence';
      try {
        return (await connection.request(subject, bytes, { timeout: withinMs })).data;
      } catch (error) {
        if (error instanceof NoRespondersError || hasNoResponders(error)) return 'nobody';
        if (!(error instanceof TimeoutError)) log.debug({ err: error }, 'NATS request');
        return 'silence';
      }
    },
    subscribe(subject, onMessage) {
      subscribers.set(subject, onMessage);
      if (connection !== null) listen(connection, subject, onMessage);
    },
    async close() {
      isClosed = true;
      isUp = false;
      retry?.cancel();
      await connection?.close();
      if (connection !== null) await opening;
    },
  };
}

function hasNoResponders(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof NoRespondersError;
}

/** Connects once, as natsWire() does, and leaves. Rejects where no server takes us. */
export async function tryNats(urls: string): Promise<{ readonly server: string }> {
  const connection = await connect({ ...natsOptions(urls), reconnect: false, timeout: TRY_MS_MAX });
  const server = connection.getServer();
  await connection.close();
  return { server };
}

function natsOptions(urls: string): ConnectionOptions {
  const parsed = urls.split(',').map((text) => new URL(text.trim()));
  const withUser = parsed.find((url) => url.username !== '');
  return {
    servers: parsed.map((url) => url.host),
    // Who asks for his own name shall hear that nobody else has it, and not wait for himself.
    noEcho: true,
    ...(parsed.some((url) => url.protocol === 'tls:') ? { tls: {} } : {}),
    ...(withUser === undefined
      ? {}
      : { user: decodeURIComponent(withUser.username), pass: decodeURIComponent(withUser.password) }),
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RETRY_MS,
    ignoreAuthErrorAbort: true,
    pingInterval: PING_MS,
    maxPingOut: 2,
    timeout: 5_000,
  };
}
