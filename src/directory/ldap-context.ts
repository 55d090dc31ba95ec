/** What the parts of the LDAP directory share. */
import type { AttributeNames } from './attribute-names.ts';
import type { LdapPool } from './ldap-pool.ts';
import type { LdapTree } from './ldap-tree.ts';
import type { LdapUsers } from './ldap-users.ts';

export interface LdapContext {
  readonly base: string;
  readonly usersBase: string;
  readonly names: AttributeNames;
  readonly pool: LdapPool;
  readonly tree: LdapTree;
  readonly users: LdapUsers;
}
