/** The system calls of Linux that take many datagrams at once, by koffi, which may be missing. */
import { endianness } from 'node:os';
import type { Koffi, NativeCall, PollCallback, PollEvents } from './koffi.ts';
import { loadKoffi } from './koffi.ts';

/** What is called of the C library. Each answers a number from 0 on, or the error number, negative. */
export interface BatchCalls {
  /** A descriptor that does not block and that no child process gets. */
  socket(six: boolean): number;
  /** `name` is a sockaddr. */
  bind(fd: number, name: Uint8Array): number;
  /** Writes the sockaddr to which it is bound into `name`. */
  localName(fd: number, name: Uint8Array): number;
  /** The system takes as much of it as its settings allow. */
  receiveBuffer(fd: number, bytes: number): number;
  close(fd: number): number;
  /** recvmmsg(2) without waiting: the number received. */
  receive(fd: number, headers: Uint8Array, count: number): number;
  /** sendmmsg(2) without waiting: the number sent; an error is that of the first one. */
  send(fd: number, headers: Uint8Array, count: number): number;
  /** Where the first byte lies, as long as the memory is referenced. */
  addressOf(memory: ArrayBuffer): bigint;
  /**
   * Calls `onReady` in each turn of the event loop in which something waits to be received, or, where that is asked for,
   * there is room to send (`hasRoom`). Neither promises nor nextTick run after it: it may only note it. Throws where that
   * can't be had.
   */
  watch(fd: number, onReady: (hasRoom: boolean) => void): Watch;
}

export interface Watch {
  /** Whether room to send is waited for, too. */
  awaitRoom(isAwaited: boolean): void;
  /** Before the descriptor is closed. */
  close(): void;
}

export const EINTR = 4;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOBUFS = 105;

/** The same on all machines that are admitted below. */
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const MSG_DONTWAIT = 0x40;
const MACHINES = ['x64', 'arm64'];

/** The calls, or why they can't be had. */
export function loadBatchCalls(): BatchCalls | string {
  const { platform, arch } = process;
  if (platform !== 'linux' || !MACHINES.includes(arch) || endianness() !== 'LE') {
    return `it takes Linux on ${MACHINES.join(' or ')}, this is ${platform} on ${arch}`;
  }
  let calls: BatchCalls;
  try {
    calls = callsBy(loadKoffi());
  } catch (error) {
    return `the package koffi can't be loaded (${error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : 'it failed'})`;
  }
  // A sandbox may forbid them, an old kernel may not have them: these would see that there is no such descriptor.
  const headers = new Uint8Array(64);
  if (calls.receive(-1, headers, 1) === -EBADF && calls.send(-1, headers, 1) === -EBADF) return calls;
  return 'the system refuses recvmmsg and sendmmsg';
}

function callsBy(koffi: Koffi): BatchCalls {
  const library = koffi.load(null);
  const checked = (declaration: string): NativeCall => {
    const call = library.func(declaration);
    return (...args) => {
      const result = call(...args);
      return result < 0 ? -koffi.errno() : result;
    };
  };
  const socket = checked('int socket(int, int, int)');
  const bind = checked('int bind(int, void *, unsigned int)');
  const getsockname = checked('int getsockname(int, void *, void *)');
  const setsockopt = checked('int setsockopt(int, int, int, void *, unsigned int)');
  const close = checked('int close(int)');
  const recvmmsg = checked('int recvmmsg(int, void *, unsigned int, int, void *)');
  const sendmmsg = checked('int sendmmsg(int, void *, unsigned int, int)');
  return {
    socket: (six) => socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    bind: (fd, name) => bind(fd, name, name.length),
    localName: (fd, name) => getsockname(fd, name, Int32Array.of(name.length)),
    receiveBuffer: (fd, bytes) => setsockopt(fd, SOL_SOCKET, SO_RCVBUF, Int32Array.of(bytes), 4),
    close: (fd) => close(fd),
    receive: (fd, headers, count) => recvmmsg(fd, headers, count, MSG_DONTWAIT, null),
    send: (fd, headers, count) => sendmmsg(fd, headers, count, MSG_DONTWAIT),
    addressOf: (memory) => koffi.address(memory),
    watch: (fd, onReady) => watch(koffi, fd, onReady),
  };
}

function watch(koffi: Koffi, fd: number, onReady: (hasRoom: boolean) => void): Watch {
  let events: PollEvents = { readable: true, writable: false };
  const heard: PollCallback = (status, { writable }) => {
    // An error of the socket, which receiving tells and clears: libuv has stopped watching.
    if (status < 0) handle.start(events, heard);
    onReady(writable);
  };
  const handle = koffi.node.poll(fd, events, heard);
  return {
    awaitRoom(isAwaited) {
      events = { readable: true, writable: isAwaited };
      handle.start(events, heard);
    },
    close() {
      handle.close();
    },
  };
}
