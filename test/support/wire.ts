/** A wire in memory: every node has a plug, and the test decides what becomes of each message. */
import type { Timers } from '../../src/base/ports.ts';
import type { Wire } from '../../src/bus/wire.ts';

export interface MemoryWires {
  /** The plug of one node. */
  plug(node: string): Wire;
  /** All nodes are cut off while true. */
  down: boolean;
  /** What was published or asked, as it went over the wire. */
  readonly sent: { readonly from: string; readonly subject: string; readonly bytes: Uint8Array }[];
  /** Brings bytes to whoever listens, as a stranger on the wire could. */
  inject(subject: string, bytes: Uint8Array): void;
}

type Listener = Parameters<Wire['subscribe']>[1];

/** How often (0 = lost, 2 = doubled) and after how many milliseconds each time a message arrives. */
export type Fate = (from: string, to: string) => readonly number[];

/** `fate`: by default everything arrives in the next turn. */
export function memoryWires(timers: Timers, fate: Fate = () => [0]): MemoryWires {
  const listeners: { node: string; subject: string; onMessage: Listener }[] = [];
  const carry = (from: string, to: string, run: () => void): void => {
    for (const delayMs of fate(from, to)) timers.after(delayMs, run);
  };
  const wires: MemoryWires = {
    down: false,
    sent: [],
    inject(subject, bytes) {
      for (const one of listeners) if (one.subject === subject) one.onMessage(bytes, null);
    },
    plug(node) {
      let isOpen = true;
      const of = (subject: string) => listeners.filter((one) => one.subject === subject);
      return {
        get isUp() {
          return isOpen && !wires.down;
        },
        publish(subject, bytes) {
          if (wires.down || !isOpen) return;
          wires.sent.push({ from: node, subject, bytes });
          for (const { node: to, onMessage } of of(subject)) carry(node, to, () => onMessage(bytes, null));
        },
        request(subject, bytes, withinMs) {
          if (wires.down || !isOpen) return Promise.resolve('silence');
          wires.sent.push({ from: node, subject, bytes });
          const [listener] = of(subject);
          if (listener === undefined) return Promise.resolve('nobody');
          return new Promise((resolve) => {
            timers.after(withinMs, () => resolve('silence'));
            carry(node, listener.node, () => {
              listener.onMessage(bytes, (answer) => carry(listener.node, node, () => resolve(answer)));
            });
          });
        },
        subscribe(subject, onMessage) {
          listeners.push({ node, subject, onMessage });
        },
        close() {
          isOpen = false;
          for (let i = listeners.length - 1; i >= 0; i--) if (listeners[i]?.node === node) listeners.splice(i, 1);
          return Promise.resolve();
        },
      };
    },
  };
  return wires;
}
