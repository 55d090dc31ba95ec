/** The use cases of a node for the tests of one edge. */
import { locateElsewhere, locateHere } from '../../src/locator/locate.ts';
import { createIntake, inTurn } from '../../src/login/intake.ts';
import { authenticate } from '../../src/login/login.ts';
import { heard } from '../../src/login/presence.ts';
import type { UseCases } from '../../src/login/use-cases.ts';
import type { flows } from './flows.ts';

/** Without those of CONFIG, which each edge has of its own kind. */
export function useCases(
  node: ReturnType<typeof flows>,
  intake = createIntake(),
): Omit<UseCases, 'config' | 'configHere'> {
  const { table, servers, clock, ends, finder } = node;
  return {
    clock,
    table,
    servers,
    ...node.presenceCases,
    intake,
    login: (request) => node.login(request),
    loginInTurn: (request) => inTurn(intake, clock, () => node.login(request)),
    messages: node.messages,
    authenticate: (request) => authenticate(node.deps, request),
    renew: (row, lifetimeS, text) => {
      table.renew(row, lifetimeS, node.nowS());
      if (text !== undefined) table.sessions.setText(row, text);
    },
    logout: (row) => {
      ends.end(row, 'logout');
    },
    heard: (row, update) => {
      heard(node, row, update);
      node.messages.heard(row);
    },
    moved: (row, wan) => {
      table.move(row, wan);
    },
    locateHere: (asker, target, trace) => locateHere(table, asker, target, trace),
    locateElsewhere: (asker, target, trace) => locateElsewhere({ table, servers, finder }, asker, target, trace),
    locateAnywhere: (asker, target, trace) => locateElsewhere({ table, servers, finder }, asker, target, trace),
  };
}
