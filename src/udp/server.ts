/** The edge of the client protocol: datagram → (express lane, or) decode → limits → signed or unsigned request → use case → reply. */
import { VserverError } from '../base/errors.ts';
import type { Address } from '../base/model.ts';
import type { ComingHandler, DatagramSocket } from '../base/ports.ts';
import { answerStun, isStun } from '../base/stun.ts';
import type { EndReason } from '../login/session-ends.ts';
import type { Outlet } from '../presence/presence.ts';
import type { UdpDeps } from './context.ts';
import { contextOf } from './context.ts';
import type { Message } from '../directory/message-store.ts';
import type { DeviceAnswer } from '../messages/delivery.ts';
import { createExpress } from './express.ts';
import { decode } from './message.ts';
import type { Request } from './message.ts';
import { messageText } from './messages.ts';
import type { Inbound } from './outbound.ts';
import { sendError, sendUnverified } from './outbound.ts';
import { errorReply } from './replies.ts';
import type { ReplyText } from './replies.ts';
import { onSigned } from './signed.ts';
import { helloReply, onUnsigned } from './unsigned.ts';
import { createWatcherOutlet } from './watching.ts';

export type Receive = (socket: DatagramSocket, bytes: Buffer, from: Address) => void;

export interface UdpServer {
  /** A datagram to the port of the protocol. */
  readonly receive: Receive;
  /** A datagram that receive() is called with soon, after others of its batch: what it will need is made ready. */
  readonly coming: ComingHandler;
  /** A datagram to the alternate port, which only tells the address it sees. */
  readonly receiveAlternate: Receive;
  /** Tells a client whose session ended by a takeover. */
  sessionEnded(socket: DatagramSocket, row: number, reason: EndReason): void;
  /**
   * Sends the session a request of the server's own (`Message`, `Presence`) and resolves with whether the client's
   * signed `Ok` came, within 8 s; with false at once where it can't be reached by datagrams. Never rejects.
   */
  request(socket: DatagramSocket, row: number, text: ReplyText): Promise<boolean>;
  /** Brings a message to the session's device. Never rejects. */
  deliver(socket: DatagramSocket, row: number, message: Message): Promise<DeviceAnswer>;
  /** What is sent to those who watch others. */
  watcherOutlet(socket: DatagramSocket): Outlet;
  close(): void;
}

export function createUdp(deps: UdpDeps): UdpServer {
  const context = contextOf(deps);
  const { cases, counters } = deps;
  const express = createExpress(context);
  /** What the server sends on its own is for clients of this protocol, not for telephones that speak SIP. */
  const isNative = (row: number): boolean => cases.table.sessions.text(row).contact === '';

  const request: UdpServer['request'] = (socket, row, text) =>
    isNative(row) ? context.serverRequests.send(socket, row, text) : Promise.resolve(false);

  const onDatagram = (socket: DatagramSocket, bytes: Buffer, from: Address, alternate: boolean): void => {
    counters.datagramsReceived++;
    if (from.port === 0) return;
    if (!alternate && express.take(socket, bytes, from)) return;
    if (isStun(bytes)) {
      if (deps.requests.take(from.host, cases.clock.now()) > 0) return;
      const reply = answerStun(bytes, from);
      if (reply !== null) socket.send(reply, from);
      return;
    }
    const request = decode(bytes);
    if (request === null || (alternate && (request.kind === 'malformed' || request.verb !== 'Hello'))) {
      counters.datagramsDropped++;
      return;
    }
    if (request.kind === 'request' && needsSession(request)) {
      onSigned(context, request, bytes, socket, from);
      return;
    }
    const inbound: Inbound = { socket, from, id: request.id, length: bytes.length };
    if (!context.admitStranger(inbound)) return;
    if (request.kind === 'malformed') {
      counters.datagramsMalformed++;
      sendError(inbound, request);
    } else if (alternate) sendUnverified(inbound, helloReply(context, inbound));
    else onUnsigned(context, request, bytes, socket, from);
  };

  return {
    receive: (socket, bytes, from) => {
      onDatagram(socket, bytes, from, false);
    },
    coming: (bytes) => {
      express.coming(bytes);
    },
    receiveAlternate: (socket, bytes, from) => {
      onDatagram(socket, bytes, from, true);
    },
    sessionEnded(socket, row, reason) {
      if (reason !== 'replaced' && reason !== 'elsewhere') return;
      if (isNative(row)) void context.serverRequests.send(socket, row, takenOver);
    },
    request,
    deliver: async (socket, row, message) => ((await request(socket, row, messageText(message))) ? 'taken' : 'silent'),
    watcherOutlet: (socket) => createWatcherOutlet(cases, (row, text) => request(socket, row, text)),
    close() {
      context.serverRequests.close();
    },
  };
}

const takenOver = errorReply(new VserverError('LOGGED_IN_ELSEWHERE'));

/** Hello and Login need none, whatever they carry; Locate and Servers may come with a ticket instead. */
function needsSession({ verb, cookieAt }: Request): boolean {
  return verb !== 'Hello' && verb !== 'Login' && (cookieAt >= 0 || verb === 'Ok');
}
